"""Reading `/metrics` as Prometheus does."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from tests.support.world import METRICS_TOKEN, World

Series = tuple[str, frozenset[tuple[str, str]]]


class Scrape(dict[Series, float]):
    """Every sample of a text, by name and labels."""

    def __init__(self, text: str) -> None:
        super().__init__()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                series = sample.name, frozenset(sample.labels.items())
                assert series not in self, f"{series} is told twice"
                self[series] = sample.value

    def value(self, name: str, **labels: str) -> float:
        """The sum of a name's samples that have these labels."""
        return sum(value for (one, own), value in self.items() if one == name and labels.items() <= dict(own).items())

    def has(self, name: str, **labels: str) -> bool:
        """Whether there is such a sample."""
        return any(one == name and labels.items() <= dict(own).items() for one, own in self)


async def scrape(world: World, url: str = "") -> Scrape:
    """What a gateway of the world tells now, by the token."""
    headers: Mapping[str, str] = {"Authorization": f"Bearer {METRICS_TOKEN}"}
    async with world.session.get(f"{url or world.url}/metrics", headers=headers) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/plain"
        return Scrape(await response.text())
