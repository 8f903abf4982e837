"""Rows in memory: found by what they hold now, whatever they held before."""

from uuid import UUID, uuid4

from modeltrail.domain.registered_model_messages import DeploymentStatus, ModelState, Tags
from modeltrail.projections.model_body import ModelBody
from modeltrail.projections.models import MODELS, ModelRow
from modeltrail.projections.rows import WorkingRows
from modeltrail.projections.table import Table
from support.samples import NOON

IRIS, ROSE, LILY = uuid4(), uuid4(), uuid4()


def row(id_: UUID, parent: UUID | None) -> ModelRow:
    body = ModelBody(
        id=id_,
        created_at="",
        updated_at="",
        project_id=id_,
        owner_id=None,
        name=str(id_),
        slug="",
        description="",
        model_type="",
        model_size=0,
        state=ModelState.LIVE,
        deployment_status=DeploymentStatus.UNDEPLOYED,
        tags=Tags(),
        labels={},
        parent_model_id=parent,
        version_count=0,
    )
    return ModelRow(id=id_, project_id=id_, created_at=NOON, updated_at=NOON, body=body)


def children(rows: WorkingRows[ModelRow], parent: UUID) -> list[UUID]:
    return [row.id for row in rows.where("parent_model_id", parent)]


def test_rows_are_found_by_what_they_hold_now() -> None:
    rows = WorkingRows(Table(MODELS))
    rows.put(IRIS, None, row(IRIS, parent=ROSE), 1)
    before = children(rows, ROSE)
    rows.put(LILY, None, row(LILY, parent=ROSE), 2)
    iris = rows.get(IRIS)
    rows.put(IRIS, iris, row(IRIS, parent=LILY), 3)

    assert before == [IRIS]
    assert (children(rows, ROSE), children(rows, LILY)) == ([LILY], [IRIS])


def test_a_row_that_is_gone_is_not_found() -> None:
    rows = WorkingRows(Table(MODELS))
    rows.put(IRIS, None, row(IRIS, parent=ROSE), 1)
    before = children(rows, ROSE)
    rows.put(IRIS, rows.get(IRIS), None, 2)

    assert (before, children(rows, ROSE)) == ([IRIS], [])


def test_what_was_taken_is_not_taken_again_and_counts_as_stored() -> None:
    rows = WorkingRows(Table(MODELS))
    rows.put(IRIS, None, row(IRIS, parent=None), 1)
    first, nothing = rows.take(), rows.take()
    rows.put(IRIS, rows.get(IRIS), None, 2)
    last = rows.take()

    assert first is not None
    assert last is not None
    assert ([each.id for each in first.kept], first.gone) == ([IRIS], [])
    assert nothing is None
    assert (last.kept, last.gone) == ([], [IRIS])


def test_a_row_that_came_and_went_in_between_is_not_removed_from_the_table() -> None:
    rows = WorkingRows(Table(MODELS))
    rows.put(IRIS, None, row(IRIS, parent=None), 1)
    rows.put(IRIS, rows.get(IRIS), None, 2)

    taken = rows.take()

    assert taken is not None
    assert (taken.kept, taken.gone) == ([], [])
