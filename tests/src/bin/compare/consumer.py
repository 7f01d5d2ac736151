"""What people build by hand: a subscriber that puts readings from MQTT into PostgreSQL. Used by `compare` only.

Debian's own libraries, as their documentation shows them. With `each`, a message is one transaction, so that what paho
acknowledges is stored. With `together`, what came within 100 ms is one transaction, and up to 500 messages are
acknowledged before they are stored: lost, if it ends then.
"""
import json
import os
import sys
import threading
import time

import paho.mqtt.client as mqtt
import psycopg2
from psycopg2.extras import execute_values

mode, port, ca, certificate, key, database, progress = sys.argv[1:8]
connection = psycopg2.connect(database)
cursor = connection.cursor()
waiting, lock, stored, shown = [], threading.Lock(), 0, 0.0


def show():
    global shown
    if time.monotonic() - shown > 0.1:
        shown = time.monotonic()
        with open(progress + ".new", "w") as file:
            file.write(str(stored))
        os.rename(progress + ".new", progress)


def store(rows):
    global stored
    execute_values(cursor, "INSERT INTO observation (hub, device, metric, value, unit, taken) VALUES %s", rows)
    connection.commit()
    stored += len(rows)
    show()


def on_message(client, userdata, message):
    batch = json.loads(message.payload)
    rows = [
        (batch["hub"], batch["device"], r["metric"], r["value"], r["unit"], r["taken"]) for r in batch["readings"]
    ]
    if mode == "each":
        store(rows)
    else:
        with lock:
            waiting.extend(rows)


def on_connect(client, userdata, flags, code):
    client.subscribe("hubs/+/up", qos=1)


client = mqtt.Client(client_id="consumer", clean_session=True)
client.tls_set(ca_certs=ca, certfile=certificate, keyfile=key)
client.on_connect, client.on_message = on_connect, on_message
client.max_inflight_messages_set(500)
client.connect("localhost", int(port))
client.loop_start()
while True:
    time.sleep(0.1)
    if mode != "each":
        with lock:
            rows, waiting = waiting, []
        for begin in range(0, len(rows), 2000):
            store(rows[begin : begin + 2000])
