"""Name the packages, which lie in two places; everything else is in setup.cfg."""

from setuptools import find_packages, setup

ROOMS = ["contract", "core", "http_gateway", "ws_signaling", "telemetry", "cli", "fakes"]
GENERATED = find_packages("generated")

setup(
    packages=find_packages(include=[*ROOMS, *(f"{room}.*" for room in ROOMS)]) + GENERATED,
    package_dir={name: f"generated/{name}" for name in GENERATED if "." not in name},
)
