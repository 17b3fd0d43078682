"""Against a real broker: Debian's mosquitto, on a free port."""

from __future__ import annotations

import getpass
import json
import os
import queue
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.publish import single

from tests.support.processes import Script, run_process

TIMEOUT = 30
"""Seconds that a test waits for a message."""
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(
    MOSQUITTO is None, reason="mosquitto isn't installed: apt-get install mosquitto"
)


class Broker:
    """A mosquitto that can be started and stopped."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        lines = [f"listener {self.port} 127.0.0.1", f"user {getpass.getuser()}", *options]
        self.file = folder / "mosquitto.conf"
        self.file.write_text("\n".join([*lines, ""]))

    def start(self) -> None:
        assert MOSQUITTO
        self.process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self.file)], stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                assert self.process.poll() is None, self.process.communicate()[1]
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    one = Broker(tmp_path, "allow_anonymous true")
    one.start()
    yield one
    one.stop()


@pytest.fixture
def heard() -> Iterator[Callable[[int], Callable[[], tuple[str, str]]]]:
    """Subscribes to everything on a port; gives a function that takes the next message."""
    listeners: list[mqtt.Client] = []

    def listen(port: int) -> Callable[[], tuple[str, str]]:
        messages: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        subscribed: queue.SimpleQueue[None] = queue.SimpleQueue()
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.on_connect = lambda client, *_: client.subscribe("#", 1)
        client.on_subscribe = lambda *_: subscribed.put(None)
        client.on_message = lambda _client, _data, message: messages.put(
            (message.topic, message.payload.decode())
        )
        client.connect("127.0.0.1", port)
        client.loop_start()
        listeners.append(client)
        subscribed.get(timeout=TIMEOUT)
        return lambda: messages.get(timeout=TIMEOUT)

    yield listen
    for client in listeners:
        client.disconnect()
        client.loop_stop()


def test_each_change_arrives(broker: Broker, heard: Any, script: Script, clip: Path) -> None:
    following = heard(broker.port)
    arguments = ("--broker", "127.0.0.1", "--port", broker.port, "--client", "kitchen")
    out, err = (process := script("mqtt_publish.py", clip, *arguments)).communicate()
    assert (process.returncode, out, err) == (0, "", "")
    assert following() == ("fer-edge/kitchen/status", "online")
    changes = []
    while (message := following())[0] == "fer-edge/kitchen/face/1":
        changes.append(json.loads(message[1]))
    assert message == ("fer-edge/kitchen/status", "offline")
    assert changes[0]["emotion"] == "happy"
    assert changes[0]["confidence"] > 0.8
    assert changes[0]["source"] == str(clip)
    assert sum(changes[0]["probabilities"].values()) == pytest.approx(1)
    assert changes[0]["small"] is False
    shown = [change["emotion"] for change in changes]
    assert len(shown) > 1
    assert all(one != other for one, other in pairwise(shown))
    assert all(change["time"] > 2 for change in changes[1:])
    # the broker retains only the status
    late = heard(broker.port)
    assert late() == ("fer-edge/kitchen/status", "offline")
    single("end", "of the retained ones", port=broker.port)
    assert late() == ("end", "of the retained ones")


def test_home_assistant_finds_the_sensor(
    broker: Broker, heard: Any, script: Script, clip: Path
) -> None:
    arguments = ("--port", broker.port, "--client", "living room", "--topic", "a/b", "--discovery")
    assert script("mqtt_publish.py", clip, *arguments).wait(TIMEOUT) == 0
    retained = dict([(late := heard(broker.port))(), late()])
    assert retained.pop("a/b/status") == "offline"
    ((topic, message),) = retained.items()
    assert topic == "homeassistant/sensor/fer_edge_living_room/expression/config"
    sensor = json.loads(message)
    assert sensor["state_topic"] == "a/b/face/+"
    assert sensor["availability_topic"] == "a/b/status"
    assert "happy" in sensor["options"]
    assert sensor["unique_id"].startswith(sensor["device"]["identifiers"][0])


@pytest.mark.usefixtures("fake_camera")
def test_the_broker_says_offline_for_one_that_was_killed(
    broker: Broker, heard: Any, script: Script
) -> None:
    following = heard(broker.port)
    process = script("mqtt_publish.py", "--port", broker.port, "--topic", "home/door")
    assert following() == ("home/door/status", "online")
    topic, message = following()
    assert topic == "home/door/face/1"
    assert json.loads(message)["source"] == "0"
    process.kill()
    assert following() == ("home/door/status", "offline")
    assert heard(broker.port)() == ("home/door/status", "offline")


@pytest.mark.usefixtures("fake_camera")
def test_it_comes_back_after_the_broker(broker: Broker, heard: Any, script: Script) -> None:
    following = heard(broker.port)
    process = script("mqtt_publish.py", "--port", broker.port, "--topic", "here")
    assert following() == ("here/status", "online")
    broker.stop()
    broker.start()
    again = heard(broker.port)
    assert again() == ("here/status", "online")
    assert process.poll() is None


@pytest.mark.usefixtures("fake_camera")
def test_an_unplugged_camera_ends_it_offline(broker: Broker, heard: Any, script: Script) -> None:
    arguments = ("--port", broker.port, "--topic", "here")
    process = script("mqtt_publish.py", *arguments, FAKE_PICAMERA2_FRAMES="30")
    out, err = process.communicate()
    assert (process.returncode, out) == (1, "")
    assert err.startswith("camera 0: stopped after frame 29 at 0.97 s")
    assert heard(broker.port)() == ("here/status", "offline")


def test_passwords(tmp_path: Path, script: Script, clip: Path) -> None:
    passwords = tmp_path / "passwords"
    run_process("mosquitto_passwd", "-b", "-c", passwords, "fer", "right", check=True)
    broker = Broker(tmp_path, "allow_anonymous false", f"password_file {passwords}")
    broker.start()
    try:
        ends = {}
        for password in ("right", "wrong"):
            process = script(
                "mqtt_publish.py",
                clip,
                *("--port", broker.port, "--username", "fer"),
                MQTT_PASSWORD=password,
            )
            out, err = process.communicate()
            assert out == ""
            ends[password] = process.returncode, err
    finally:
        broker.stop()
    assert ends["right"] == (0, "")
    assert ends["wrong"] == (1, f"localhost:{broker.port}: Not authorized\n")


def test_without_a_broker(tmp_path: Path, script: Script, clip: Path) -> None:
    port = Broker(tmp_path).port
    out, err = (process := script("mqtt_publish.py", clip, "--port", port)).communicate()
    assert (process.returncode, out) == (1, "")
    assert err.startswith(f"localhost:{port}: ")
    assert "refused" in err
    assert "Traceback" not in err
