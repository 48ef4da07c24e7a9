"""Reading through the service: the same batches and states as when the data is read here."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event

import pyarrow as pa
import pytest
import urllib3

from mixtera.errors import PlanError, SampleError, ServiceError
from mixtera.plan import Plan
from mixtera.service.reading import _Source
from mixtera.stream import Stream
from tests.service.running import Service, rows_of, saved_plan, trained, uninterrupted


@pytest.mark.parametrize(("rank", "world_size", "worker", "workers"), [(0, 1, 0, 1), (1, 3, 0, 1), (1, 2, 1, 2)])
def test_a_static_plan(
    rank: int, world_size: int, worker: int, workers: int, service: Service, static_plan: Plan
) -> None:
    service.create("run", static_plan)
    reader = {"rank": rank, "world_size": world_size, "worker": worker, "workers": workers}
    here = Stream(static_plan.data, static_plan.digest, batch_size=8, **reader, start=13)
    with service.attach("run", reading="tunnel") as job, job.stream(8, **reader, start=13) as far, here:
        assert len(far) == len(here)
        for found, expected in zip(far, here, strict=True):
            assert found.equals(expected)
            assert far.state_dict() == here.state_dict()


def test_a_plan_that_follows_the_training(service: Service, plan: Plan, tmp_path: Path) -> None:
    service.create("run", plan)
    with service.attach("run", reading="tunnel") as job:
        streams = [job.stream(8, rank, 2) for rank in range(2)]
        found = trained(job, streams, 40)
        for stream in streams:
            stream.close()
    assert found == uninterrupted(plan, tmp_path / "local", 2, 8, 40)


def test_it_goes_on_from_a_state(service: Service, static_plan: Plan) -> None:
    service.create("run", static_plan)
    with service.attach("run", reading="tunnel") as job, job.stream(8) as stream, static_plan.stream(8) as here:
        for _ in range(5):
            next(stream)
        here.load_state_dict(stream.state_dict())
        assert next(stream).equals(next(here))


def test_only_the_columns_that_are_asked_for(service: Service, static_plan: Plan) -> None:
    service.create("run", static_plan)
    with service.attach("run", reading="tunnel") as job:
        with job.stream(4, columns=[]) as stream:
            assert next(stream).schema.names == ["component", "sample"]
        with pytest.raises(PlanError, match="no content column 'wat'"):
            job.stream(4, columns=["wat"])


def test_it_survives_a_service_that_is_killed(service: Service, tmp_path: Path) -> None:
    plan = saved_plan(tmp_path / "long", follows=False, epochs=(3000, 3000, 3000))
    service.create("run", plan)
    with service.attach("run", reading="tunnel") as job, job.stream(64) as far, plan.stream(64) as here:
        assert next(far).equals(next(here))
        for kills in (1, 2):
            service.kill()
            service.start()
            while sum(entry["action"] == "read" for entry in service.entries()) <= kills:  # what was on its way
                assert next(far).equals(next(here))
            assert next(far).equals(next(here))


def test_a_service_that_ends_cuts_readers_short(service: Service, tmp_path: Path) -> None:
    plan = saved_plan(tmp_path / "long", follows=False, epochs=(3000, 3000, 3000))
    service.create("run", plan)
    with service.attach("run", reading="tunnel") as job, job.stream(64) as far, plan.stream(64) as here:
        assert next(far).equals(next(here))
        assert service.end() == 0  # while the client takes nothing
        assert "traceback" not in service.stderr()
        service.start()
        while sum(entry["action"] == "read" for entry in service.entries()) < 2:  # what was on its way
            assert next(far).equals(next(here))
        assert next(far).equals(next(here))


def test_a_sample_that_cannot_be_read_is_told_as_it_is_here(service: Service, tmp_path: Path) -> None:
    plan = saved_plan(tmp_path / "broken", follows=False, epochs=(2, 2, 2))
    service.create("run", plan)
    file = tmp_path / "broken" / "files" / "part-1.jsonl"
    stat = file.stat()
    content = bytearray(file.read_bytes())
    content[100 * 150] = ord("x")
    file.write_bytes(content)

    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    job = service.attach("run", reading="tunnel")
    with job, job.stream(8) as stream, pytest.raises(SampleError, match=r"part-1.jsonl"):
        list(stream)
    assert service.ask("GET", "/v1/health")[0] == 200


def test_what_is_not_promised_is_not_read(service: Service, plan: Plan) -> None:
    service.create("run", plan)
    path = "/v1/jobs/run/read"
    assert service.ask("POST", path, {"batch_size": 8, "stop": 64})[1]["error"]["kind"] == "NotPromised"
    assert "`stop` must be given" in service.ask("POST", path, {"batch_size": 8})[1]["error"]["message"]
    assert service.ask("POST", "/v1/jobs/run/promise", {"first": 0, "rounds": 1})[0] == 200
    status, content = service.ask("POST", path, {"batch_size": 8, "stop": 64})
    assert status == 200
    assert [batch.num_rows for batch in pa.ipc.open_stream(content)] == [8] * 8


def test_a_reader_of_more_than_there_is_room_for_is_refused(service: Service, static_plan: Plan) -> None:
    service.create("run", static_plan)
    status, answer = service.ask("POST", "/v1/jobs/run/read", {"batch_size": 1 << 24})
    assert (status, answer["error"]["kind"]) == (400, "PlanError")
    huge = {"batch_size": 1 << 10, "world_size": 1 << 24, "workers": 1 << 24}
    assert service.ask("POST", "/v1/jobs/run/read", huge)[0] == 400


def test_a_client_that_takes_nothing_holds_nothing_up(service: Service, tmp_path: Path) -> None:
    plan = saved_plan(tmp_path / "long", follows=False, epochs=(20_000, 20_000, 20_000))
    service.create("run", plan)
    with service.attach("run", reading="tunnel") as job, job.stream(64) as slow:
        expected = rows_of(next(slow))
        time.sleep(1)
        with service.attach("run", reading="tunnel") as other, other.stream(64) as quick:
            assert rows_of(next(quick)) == expected
            for _ in range(30):
                next(quick)


def test_readers_that_go_away_make_room_for_others(tmp_path: Path) -> None:
    plan = saved_plan(tmp_path / "long", follows=False, epochs=(20_000, 20_000, 20_000))
    with Service(tmp_path / "service", "--reads", "2").start() as service:
        url = f"{service.url}/v1/jobs/run/read"
        service.create("run", plan)
        for _ in range(5):
            response = urllib3.request(
                "POST",
                url,
                body=b'{"batch_size": 64}',
                headers={"Content-Type": "application/json"},
                preload_content=False,
                timeout=600,
                retries=urllib3.Retry(1_000, backoff_factor=0.1, backoff_max=0.5, status_forcelist=[503]),
            )
            assert response.read(1_000)
            response.close()
        with service.attach("run", reading="tunnel") as job, job.stream(64) as stream:
            assert len(rows_of(next(stream))) == 64
        # Before the end: a busy machine may take longer to stop the last reading than the 5 s that uvicorn then waits.
        assert "Traceback" not in service.stderr(), service.stderr()


def test_another_way_of_reading_is_refused(service: Service) -> None:
    with pytest.raises(ServiceError, match="reading is 'wat'; it is direct or tunnel"):
        service.attach("run", reading="wat")


@pytest.mark.parametrize("rows", [3, 2_000])
def test_batches_go_to_the_wire_as_arrow_writes_them(rows: int) -> None:
    """Small ones together, large ones each as it is, and dictionaries inside of lists with every batch."""

    def batch(number: int) -> pa.RecordBatch:
        text = pa.array([f"{number} {row} " * 20 for row in range(rows)])
        component = pa.DictionaryArray.from_arrays(pa.array([row % 2 for row in range(rows)], pa.int32()), ["a", "b"])
        words = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), [f"word {number}"])
        lists = pa.ListArray.from_arrays(pa.array(range(rows + 1), pa.int32()), words)
        return pa.RecordBatch.from_arrays([text, component, lists], names=["text", "component", "words"])

    batches = [batch(number).slice(1) for number in range(40)]
    for columns in (["text", "component"], ["text", "component", "words"]):
        wanted = [each.select(columns) for each in batches]
        source = _Source(iter(wanted))  # type: ignore[arg-type]
        pieces = list(iter(source.piece, []))
        assert (len(pieces) > 1) == (rows > 3)
        with pa.ipc.open_stream(b"".join(part for piece in pieces for part in piece)) as reader:
            found = list(reader)
        assert [each.to_pylist() for each in found] == [each.to_pylist() for each in wanted]
    assert list(iter(_Source(iter([])).piece, [])) == []  # type: ignore[arg-type]


def test_who_goes_away_closes_nothing_that_is_being_read(static_plan: Plan) -> None:
    begun, go_on = Event(), Event()

    class Slow(Stream):
        def __next__(self) -> pa.RecordBatch:
            begun.set()
            go_on.wait()
            return super().__next__()

    source = _Source(Slow(static_plan.data, static_plan.digest, batch_size=8))
    with ThreadPoolExecutor(2) as threads:
        piece = threads.submit(source.piece)
        begun.wait()
        closing = threads.submit(source.close)
        assert not wait([closing], timeout=0.1).done
        go_on.set()
        assert len(piece.result()) == 1
        closing.result()
    assert source._stream._batches is None
    assert source.piece() == []
