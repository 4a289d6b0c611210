"""What NVIDIA's program says of accelerators; lines as it prints them."""

from __future__ import annotations

from atelier_spawner.local.usage import Device, parse_devices

MIB = 1024**2


def test_devices_by_index() -> None:
    text = "0, 87, 12087\n1, 0, 3\n2, [N/A], [Not Supported]\n"
    assert parse_devices(text) == {
        0: Device(87.0, 12087 * MIB),
        1: Device(0.0, 3 * MIB),
        2: Device(None, None),
    }


def test_what_is_no_table_tells_nothing() -> None:
    assert parse_devices("No devices were found\n") == {}
    assert parse_devices("NVIDIA-SMI has failed because it couldn't communicate with the driver\n") == {}
