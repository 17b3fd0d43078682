"""Publish each change of expression to an MQTT broker.

    .venv/bin/pip install '.[video]' 'paho-mqtt>=2'
    MQTT_PASSWORD=... .venv/bin/python examples/mqtt_publish.py 0 --broker 192.0.2.7 --username fer

Topics below fer-edge/NAME (`--topic`), where NAME is this machine (`--client`):

    face/NUMBER   {"source": "0", "time": 12.4, "number": 1, "emotion": "happy",
                  "confidence": 0.93, "probabilities": {...}, "small": false} when that face's
                  expression changes; small: it has too few pixels to rely on
    status        online or offline, retained; the broker publishes offline when the connection is
                  lost

`--discovery` announces a sensor to Home Assistant: a retained message below homeassistant/sensor.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import sys
from concurrent.futures import Future
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from fer_edge import Cut, FerEdgeError, ModelSpec, Recognizer, __version__

TIMEOUT = 10
"""Seconds that the broker has to accept the connection."""


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Publish each change of expression over MQTT.")
    parser.add_argument("source", nargs="?", default="0", help="camera, video or stream (0)")
    parser.add_argument(
        "--broker", default="localhost", help="name or address of the broker (localhost)"
    )
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--client", default=socket.gethostname(), help="this machine's name")
    parser.add_argument("--topic", help="topic above all others (fer-edge/CLIENT)")
    parser.add_argument(
        "--username", help="user name at the broker; the password is in MQTT_PASSWORD"
    )
    parser.add_argument("--max-fps", type=float, default=5, help="frames per second; 0: all (5)")
    parser.add_argument(
        "--discovery",
        nargs="?",
        const="homeassistant",
        metavar="PREFIX",
        help="announce a sensor to Home Assistant, below this topic (homeassistant)",
    )
    options = parser.parse_args()
    options.topic = options.topic or f"fer-edge/{options.client}"
    return options


def describe_sensor(options: argparse.Namespace, spec: ModelSpec) -> tuple[str, str]:
    """Topic and message by which Home Assistant makes a sensor.

    https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
    """
    name = "fer_edge_" + re.sub(r"[^A-Za-z0-9_-]", "_", options.client)
    sensor = {
        "name": "Expression",
        "unique_id": f"{name}_expression",
        "object_id": f"{name}_expression",
        "device_class": "enum",
        "options": [*spec.labels, "uncertain"],
        "icon": "mdi:emoticon-outline",
        "state_topic": f"{options.topic}/face/+",
        "value_template": "{{ value_json.emotion }}",
        "json_attributes_topic": f"{options.topic}/face/+",
        "availability_topic": f"{options.topic}/status",
        "device": {
            "identifiers": [name],
            "name": f"fer-edge {options.client}",
            "model": spec.title,
            "sw_version": __version__,
        },
    }
    return f"{options.discovery}/sensor/{name}/expression/config", json.dumps(sensor)


def main() -> int:
    """Connect, publish until the source ends, and return the exit code."""
    options = arguments()
    status, reply, shown = f"{options.topic}/status", Future[Any](), dict[int, str]()

    def on_connect(client: mqtt.Client, _data: Any, _flags: Any, code: Any, _more: Any) -> None:
        if not reply.done():
            reply.set_result(code)
        if not code.is_failure:  # paho reconnects by itself and calls this again
            if options.discovery:
                client.publish(*describe_sensor(options, recognizer.spec), qos=1, retain=True)
            client.publish(status, "online", qos=1, retain=True)

    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"fer-edge-{options.client}")
    client.on_connect = on_connect
    client.will_set(status, "offline", qos=1, retain=True)
    client.username_pw_set(options.username, os.environ.get("MQTT_PASSWORD"))
    client.max_queued_messages_set(1000)  # while the broker is away
    try:
        recognizer = Recognizer.load()
        client.connect(options.broker, options.port)
        client.loop_start()
        if (code := reply.result(TIMEOUT)).is_failure:
            raise ConnectionRefusedError(code)
        for result in recognizer.stream(options.source, cut=Cut(max_fps=options.max_fps)):
            for face in result.faces:
                track = face.track
                if track and shown.get(track.number) != track.emotion:
                    shown[track.number] = track.emotion
                    shown.pop(track.number - 100, None)  # numbers only grow: that face is gone
                    own = {**track.to_dict(), "small": face.small}
                    message = {"source": result.source, "time": result.time, **own}
                    client.publish(f"{options.topic}/face/{track.number}", json.dumps(message), 1)
    except FerEdgeError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{options.broker}:{options.port}: {str(error) or 'no answer'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if client.is_connected():
            client.publish(status, "offline", 1, retain=True).wait_for_publish(TIMEOUT)
        client.disconnect()
        client.loop_stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
