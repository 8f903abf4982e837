"""Events folded row by row come to the same as one after the other."""

from uuid import UUID, uuid4

from msgspec import structs

from modeltrail.domain.decider import AnyEvent
from modeltrail.domain.ids import ModelId, ProjectId
from modeltrail.domain.model_version_messages import VersionMarkedReady
from modeltrail.domain.registered_model_messages import ModelArchived, ModelDescribed, ModelRenamed
from modeltrail.eventlog.record import Context, Recorded
from modeltrail.projections.projection import Column, NewRow, OneRow, Projection, Row, RowsWhere, Target
from modeltrail.projections.rows import ChangedRows, WorkingRows
from modeltrail.projections.table import Table
from modeltrail.projections.touched import Touched
from support.samples import NOON

IRIS, ROSE = uuid4(), uuid4()
HERE, THERE = uuid4(), uuid4()


class Flower(Row, frozen=True):
    """Where it stands, and how often it rained there while it did."""

    bed: UUID
    rains: int = 0


def apply(row: Flower | None, recorded: Recorded) -> Flower | None:
    match recorded.event:
        case ModelArchived():
            return None
        case ModelDescribed(description=bed) if row is None:
            return Flower(id=recorded.stream, project_id=IRIS, created_at=NOON, updated_at=NOON, bed=UUID(bed))
        case ModelDescribed(description=bed) if row is not None:
            return structs.replace(row, bed=UUID(bed))
        case VersionMarkedReady() if row is not None:
            return structs.replace(row, rains=row.rains + 1)
        case _:
            return row


def read(_record: object) -> Flower:
    raise AssertionError("there is no table to read from")


FLOWERS = Projection[Flower](
    name="flowers",
    version=1,
    columns=(Column("bed", "uuid", lambda row: row.bed),),
    unique=(),
    targets={},
    apply=apply,
    read=read,
    get_documents="",
    document_of=lambda _row: None,
)


class Garden:
    """A history of flowers, and what is left of it."""

    def __init__(self) -> None:
        self.rows = WorkingRows(Table(FLOWERS))
        self.touched = Touched(self.rows)
        self.position = 0

    def happens(self, target: Target, stream: UUID, event: AnyEvent) -> None:
        self.position += 1
        context = Context(ProjectId(IRIS), uuid4(), "")
        self.touched.add(target, Recorded(self.position, stream, 1, event, NOON, context))

    def planted(self, flower: UUID, bed: UUID) -> None:
        self.happens(NewRow(flower), flower, ModelDescribed(str(bed)))

    def moved(self, flower: UUID, bed: UUID) -> None:
        self.happens(OneRow(flower), flower, ModelDescribed(str(bed)))

    def rained(self, bed: UUID) -> None:
        self.rows._complete.add(("bed", bed))  # no table stands behind
        self.happens(RowsWhere("bed", bed), uuid4(), VersionMarkedReady(ModelId(IRIS)))

    def died(self, flower: UUID) -> None:
        self.happens(OneRow(flower), flower, ModelArchived())

    def renamed(self, flower: UUID) -> None:
        self.happens(OneRow(flower), flower, ModelRenamed("", ""))

    def grown(self) -> ChangedRows[Flower]:
        for _ in self.touched.apply():
            pass
        changed = self.rows.take()
        assert changed is not None
        return changed


def test_what_touches_all_rows_with_a_value_finds_those_that_hold_it_at_its_turn() -> None:
    garden = Garden()
    garden.planted(IRIS, HERE)
    garden.planted(ROSE, THERE)
    garden.rained(HERE)
    garden.moved(IRIS, THERE)
    garden.rained(HERE)
    garden.rained(THERE)

    rains = {row.id: row.rains for row in garden.grown().kept}

    assert rains == {IRIS: 2, ROSE: 1}


def test_a_row_counts_each_of_its_events_and_keeps_the_position_of_the_last() -> None:
    garden = Garden()
    garden.planted(IRIS, HERE)
    garden.planted(ROSE, HERE)
    garden.moved(IRIS, THERE)
    garden.renamed(IRIS)

    stamps = {row.id: (row.revision, row.position) for row in garden.grown().kept}

    assert stamps == {IRIS: (3, 4), ROSE: (1, 2)}


def test_a_row_that_comes_again_begins_anew() -> None:
    garden = Garden()
    garden.planted(IRIS, HERE)
    garden.moved(IRIS, THERE)
    garden.died(IRIS)
    garden.moved(IRIS, HERE)

    (iris,) = garden.grown().kept

    assert (iris.revision, iris.position, iris.bed) == (1, 4, HERE)


def test_a_row_that_comes_and_goes_is_not_there() -> None:
    garden = Garden()
    garden.planted(IRIS, HERE)
    garden.died(IRIS)
    garden.planted(ROSE, HERE)

    assert [row.id for row in garden.grown().kept] == [ROSE]
    assert garden.rows.get(IRIS) is None


def test_a_row_that_somebody_holds_is_not_changed() -> None:
    garden = Garden()
    garden.planted(IRIS, HERE)
    (held,) = garden.grown().kept
    garden.renamed(IRIS)  # which leaves it as it is

    (iris,) = garden.grown().kept

    assert (held.revision, held.position) == (1, 1)
    assert (iris.revision, iris.position) == (2, 2)
