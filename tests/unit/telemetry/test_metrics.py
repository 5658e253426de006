"""The answer to a scrape: of one process, of several workers, and while some of what it asks is away."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

import aiohttp
import pytest

from cli.addresses import listen
from telemetry import metrics as metrics_module
from telemetry.figures import Figure
from telemetry.metrics import Metrics
from telemetry.server import serving_metrics
from telemetry.workers import Place
from tests.support.scrapes import Scrape


async def told(metrics: Metrics) -> Scrape:
    metrics._text_until = 0.0
    return Scrape((await metrics.text())[0].decode())


async def test_sources_are_asked_while_they_are_there() -> None:
    metrics = Metrics(version="1.2.3")

    async def shared() -> Iterable[Figure]:
        return [Figure("rows", "Rows.", 7)]

    with metrics.including(lambda: [Figure("x", "X.", 1)], shared):
        found = await told(metrics)
        assert (found.value("x", worker="0"), found[("rows", frozenset())]) == (1, 7)
        assert found.value("skillforge_build_info", version="1.2.3") == 1
    found = await told(metrics)
    assert not found.has("x")
    assert not found.has("rows")


async def test_what_cannot_be_asked_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_module, "SHARED_SECONDS", 0.01)
    metrics = Metrics()

    async def away() -> Iterable[Figure]:
        raise ConnectionError

    async def hangs() -> Iterable[Figure]:
        await asyncio.Event().wait()
        return ()

    with metrics.including(lambda: (), away), metrics.including(lambda: (), hangs):
        assert (await told(metrics)).has("process_resident_memory_bytes")


async def test_the_event_loop_s_lag_is_measured() -> None:
    metrics = Metrics()
    async with metrics.running():
        await asyncio.sleep(0.3)
        found = await told(metrics)
    assert found.value("skillforge_event_loop_lag_seconds_count") == 1


async def test_scrapes_that_come_together_cost_one() -> None:
    metrics, asked = Metrics(), []

    def source() -> Iterable[Figure]:
        asked.append(1)
        return ()

    with metrics.including(source):
        texts = await asyncio.gather(*(metrics.text() for _ in range(20)))
    assert len(asked) == 1
    assert len(set(texts)) == 1


async def test_any_worker_tells_of_all(tmp_path: Path) -> None:
    workers = [Metrics(Place(str(number), tmp_path)) for number in range(3)]
    (tmp_path / "1.sock").touch()  # a killed predecessor's
    async with workers[0].running(), workers[2].running():
        async with workers[1].running():
            for worker in workers:
                with worker.including(lambda: [Figure("x", "X.", 1)]):
                    found = await told(worker)
                    assert found.value("skillforge_build_info") == 3
                    assert found.value("x") == 1
        # One is gone, and one that was killed left its socket.
        (tmp_path / "7.sock").touch()
        found = await told(workers[0])
        assert sorted(dict(labels)["worker"] for name, labels in found if name == "skillforge_build_info") == ["0", "2"]
    assert os.listdir(tmp_path) == ["7.sock"]


async def test_a_worker_that_hangs_or_lies_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telemetry.workers.ANSWER_SECONDS", 0.05)

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.close()

    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"[[[")
        writer.close()

    metrics = Metrics(Place("0", tmp_path))
    async with (
        await asyncio.start_unix_server(hang, tmp_path / "1.sock"),
        await asyncio.start_unix_server(lie, tmp_path / "2.sock"),
        metrics.running(),
    ):
        assert (await told(metrics)).value("skillforge_build_info") == 1


async def test_a_folder_with_too_long_a_name_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    metrics = Metrics(Place("0", folder))
    async with metrics.running():
        assert (await told(metrics)).value("skillforge_build_info") == 1
    assert "only by itself" in caplog.text


async def test_the_port_for_scrapes_answers_nothing_else() -> None:
    metrics = Metrics()
    listener = listen("127.0.0.1", 0, reuse_port=False)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with serving_metrics(metrics, listener), aiohttp.ClientSession() as session:
        async with session.get(f"{url}/metrics") as response:
            assert (response.status, response.content_type) == (200, "text/plain")
            assert Scrape(await response.text()).has("process_open_fds")
        for verb, path in (("POST", "/metrics"), ("GET", "/"), ("GET", "/courses")):
            async with session.request(verb, url + path) as response:
                assert response.status == 404
