from modeltrail.postgres.arguments import SHARED_FROM, Arguments

MANY = list(range(SHARED_FROM))


def test_each_part_gets_numbers_of_its_own() -> None:
    together = Arguments()

    first = together.of("VALUES ($1::text, $2::int)", ["a", 1])
    second = together.of("VALUES ($1::text, $2::int)", ["a", 1])

    assert (first, second) == ("VALUES ($1::text, $2::int)", "VALUES ($3::text, $4::int)")
    assert together.values == ["a", 1, "a", 1]


def test_a_list_that_is_given_twice_is_sent_once() -> None:
    together = Arguments()

    together.of("SELECT unnest($1::text[], $2::bigint[])", [["x"] * SHARED_FROM, MANY])

    assert together.of("SELECT unnest($1::bigint[])", [list(MANY)]) == "SELECT unnest($2::bigint[])"
    assert together.values == [["x"] * SHARED_FROM, MANY]


def test_lists_of_the_same_values_are_two_where_their_types_differ() -> None:
    together = Arguments()

    text = together.of("SELECT unnest($1::bigint[], $2::int[])", [MANY, MANY])

    assert text == "SELECT unnest($1::bigint[], $2::int[])"
    assert len(together.values) == 2


def test_a_few_values_are_not_worth_a_statement_of_their_own() -> None:
    together = Arguments()

    text = together.of("SELECT unnest($1::bigint[], $2::bigint[])", [MANY[1:], MANY[1:]])

    assert text == "SELECT unnest($1::bigint[], $2::bigint[])"


def test_what_a_part_does_not_refer_to_is_left_out() -> None:
    # PostgreSQL refuses a parameter that no part of the statement says the type of.
    together = Arguments()

    assert together.of("SELECT $3::text, $1::int, $3::text", [1, 2, "three"]) == "SELECT $1::text, $2::int, $1::text"
    assert together.values == ["three", 1]


def test_a_list_is_found_by_the_type_that_it_is_cast_to_anywhere_in_the_part() -> None:
    together = Arguments()
    together.of("SELECT $1::bigint[]", [MANY])

    assert together.of("SELECT $1, $1::bigint[], $1", [MANY]) == "SELECT $1, $1::bigint[], $1"


def test_more_than_nine_parameters_keep_apart() -> None:
    together = Arguments()
    part = ", ".join(f"${number}" for number in range(1, 13))
    together.of("$1", ["zero"])

    assert together.of(part, range(1, 13)) == ", ".join(f"${number}" for number in range(2, 14))


def test_null_in_place_of_a_list_is_a_parameter_like_others() -> None:
    together = Arguments()

    assert together.of("unnest($1::text[], $2::text[])", [None, None]) == "unnest($1::text[], $2::text[])"
