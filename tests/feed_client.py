#!/usr/bin/env python3
"""A feed client: TLS, WebSocket and JSON with Python's standard library alone (docs/protocol.md, "Feed clients").

Prints one line for each alert event and live value. Checks that messages count 1, 2, 3 ... and resumes after a
break with the last cursor, which it can keep in a file. Ends with status 1 if a message is missing.
"""
import argparse, base64, hashlib, json, os, socket, ssl, struct, sys, time, urllib.parse

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3


class Closed(Exception): pass


class Feed:
    def __init__(self, options, token, cursor):
        context = ssl.create_default_context(cafile=options.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        tcp = socket.create_connection((options.host, options.port), timeout=30)  # three heartbeats
        self.tls = context.wrap_socket(tcp, server_hostname=options.server_name)
        key = base64.b64encode(os.urandom(16)).decode()
        path = "/v1/feed" + ("?cursor=" + urllib.parse.quote(cursor) if cursor else "")
        lines = [f"GET {path} HTTP/1.1", f"Host: {options.server_name}", "Upgrade: websocket",
                 "Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13",
                 f"Authorization: Bearer {token}"]
        self.tls.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.buffer, self.n = b"", 0
        while b"\r\n\r\n" not in self.buffer: self.fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.split(b"\r\n")[0]:
            sys.exit("refused: " + head.decode("latin-1").splitlines()[0])
        if base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()) not in head:
            sys.exit("not a WebSocket: Sec-WebSocket-Accept does not fit")

    def fill(self):
        data = self.tls.recv(65536)
        if not data: raise Closed("connection ended")
        self.buffer += data

    def take(self, count):
        while len(self.buffer) < count: self.fill()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def send(self, opcode, data):  # a client masks what it sends; control frames are short
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))
        self.tls.sendall(bytes([0x80 | opcode, 0x80 | len(data)]) + mask + masked)

    def message(self):
        text = b""
        while True:
            first, length = self.take(2)
            length = {126: lambda: struct.unpack("!H", self.take(2))[0],
                      127: lambda: struct.unpack("!Q", self.take(8))[0]}.get(length, lambda: length)()
            data, opcode = self.take(length), first & 15
            if opcode == 9: self.send(10, data)  # a ping
            elif opcode == 8: raise Closed(data[2:].decode() or "closed without a reason")
            elif opcode in (0, 1):
                text += data
                if first & 0x80:
                    message = json.loads(text)
                    self.n += 1
                    if message["n"] != self.n:
                        sys.exit(f"message {self.n} is missing: {message['n']} came")
                    return message


def show(message):
    events = [("standing", alert) for alert in message.get("alerts", [])]
    for kind, alert in events + [(key, message[key]) for key in ("alert",) if key in message]:
        print(kind, alert["number"], alert["change"], alert["priority"], alert["words"], flush=True)
    for value in message.get("live", []) + message.get("values", []):
        print("live", value["patient"], value["metric"], value.get("value") or value.get("none"), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name, kind, default in [("host", str, "127.0.0.1"), ("port", int, 8443), ("server-name", str, "localhost"),
                                ("ca", str, None), ("token-file", str, None), ("cursor-file", str, os.devnull)]:
        parser.add_argument(f"--{name}", type=kind, default=default, required=default is None)
    options = parser.parse_args()
    token = open(options.token_file).read().strip()
    cursor = open(options.cursor_file).read().strip() if os.path.exists(options.cursor_file) else ""
    while True:
        try:
            feed = Feed(options, token, cursor)
            while True:
                message = feed.message()
                print("message", message["n"], message["type"], flush=True)
                show(message)
                if "cursor" in message:
                    cursor = message["cursor"]
                    open(options.cursor_file, "w").write(cursor)
        except (Closed, OSError) as why:
            print("resuming:", why, file=sys.stderr, flush=True)
            time.sleep(1)


main()
