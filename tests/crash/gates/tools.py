"""Sends parcels, and writes down each that it sends."""

from pathlib import Path


def send(parcel):
    with (Path(__file__).parent / "log").open("a") as log:
        log.write(f"{parcel}\n")
    return "sent"
