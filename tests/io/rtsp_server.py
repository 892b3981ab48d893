"""A camera on the network: a small RTSP server (RFC 2326) that plays H.264 (RFC 6184) over its connection."""

import base64
import re
import socket
import struct
import threading

import av

from video_files import RATE


def parts_of(frames):
    """The NAL units of every frame, without start codes."""
    context = av.CodecContext.create("libx264", "w")
    context.height, context.width = frames[0].shape[:2]
    context.pix_fmt, context.framerate = "yuv420p", RATE
    context.options = {"tune": "zerolatency", "g": "1", "preset": "ultrafast", "x264-params": "slices=1"}
    packets = []
    for number, image in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
        frame.pts = number
        packets += context.encode(frame)
    packets += context.encode(None)
    return [[unit for unit in re.split(b"\x00\x00\x00?\x01", bytes(packet)) if unit] for packet in packets]


class RtspServer:
    """Plays frames once to whoever connects, then hangs up."""

    def __init__(self, frames):
        self._frames = parts_of(frames)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/front"
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        # Wakes a server that waits for somebody to call.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _run(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as requests:
                self._serve(connection, requests)

    def _serve(self, connection, requests):
        while line := requests.readline():
            method = line.split()[0].decode()
            headers = {}
            while header := requests.readline().decode().strip():
                name, _, value = header.partition(":")
                headers[name.lower()] = value.strip()
            answer, body = {"CSeq": headers["cseq"]}, b""
            if method == "OPTIONS":
                answer["Public"] = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"
            elif method == "DESCRIBE":
                body = self._description()
                answer |= {"Content-Type": "application/sdp", "Content-Length": str(len(body))}
            elif method == "SETUP":
                answer |= {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1", "Session": "1"}
            else:
                answer["Session"] = "1"
            head = "".join(f"{name}: {value}\r\n" for name, value in answer.items())
            connection.sendall(f"RTSP/1.0 200 OK\r\n{head}\r\n".encode() + body)
            if method in {"PLAY", "TEARDOWN"}:
                if method == "PLAY":
                    self._play(connection)
                return

    def _description(self):
        sets = [unit for unit in self._frames[0] if unit[0] & 31 in {7, 8}]
        coded = ",".join(base64.b64encode(unit).decode() for unit in sets)
        return (
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=front\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
            "a=rtpmap:96 H264/90000\r\n"
            f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={coded}\r\na=control:track1\r\n"
        ).encode()

    def _play(self, connection):
        sequence = 0
        for number, units in enumerate(self._frames):
            for place, unit in enumerate(units):
                for last, payload in fragments(unit):
                    marker = 128 if last and place == len(units) - 1 else 0
                    head = struct.pack(">BBHII", 128, 96 | marker, sequence, number * 90_000 // RATE, 7)
                    connection.sendall(struct.pack(">cBH", b"$", 0, 12 + len(payload)) + head + payload)
                    sequence += 1


def fragments(unit, longest=1200):
    """A NAL unit as RTP payloads: whole, or in pieces (FU-A); each with whether it is the last."""
    if len(unit) <= longest:
        yield True, unit
        return
    for start in range(1, len(unit), longest):
        first, last = start == 1, start + longest >= len(unit)
        yield (
            last,
            bytes([unit[0] & 0xE0 | 28, first << 7 | last << 6 | unit[0] & 31])
            + unit[start : start + longest],
        )
