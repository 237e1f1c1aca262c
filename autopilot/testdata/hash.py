"""Reads hardware hashes, one base64 text a line, and prints one JSON line each.

An independent reader for the tests of package autopilot. It was written from a
description of the layout, before and without the Go code it is compared with.
"""

import base64
import hashlib
import json
import struct
import sys

STRINGS = {
    3: "cpuVendor", 4: "cpuModel", 13: "tpm", 14: "serial", 15: "firmwareVendor", 16: "manufacturer",
    17: "product", 18: "sku", 19: "family", 20: "firmwareVersion", 21: "boardProduct", 22: "boardVersion",
    23: "systemVersion", 24: "productKeyId", 26: "productKeyPkPn", 28: "diskSerialKernel",
}


def text(data):
    return data.rstrip(b"\0").decode("utf-8", "replace")


def version(data):
    minor, major, revision, build = struct.unpack("<4H", data)
    return f"{major}.{minor}.{build}.{revision}"


def guid(data):
    a, b, c = struct.unpack("<IHH", data[:8])
    return f"{a:08x}-{b:04x}-{c:04x}-{data[8:10].hex()}-{data[10:16].hex()}"


def record(kind, data, out):
    if kind in STRINGS:
        out[STRINGS[kind]] = text(data)
    elif kind == 1:
        out["tool"], out["os"] = version(data[0:8]), version(data[8:16])
        out["osType"], out["osArchitecture"], out["toolVersion"] = data[21], data[22], data[23]
    elif kind == 2:
        out["cpu"] = list(struct.unpack("<5H", data[:10]))
    elif kind == 5:
        total, most, slots, arrays = struct.unpack("<QQHH", data[:20])
        out["memory"] = [total, most, slots, arrays, data[20]]
    elif kind == 6:
        out.setdefault("disks", []).append([struct.unpack("<I", data[:4])[0], data[8], data[10]])
    elif kind == 7:
        serial, model, *_ = text(data).split("|") + [""]
        out.setdefault("diskSerials", []).append([serial, model])
    elif kind == 8:
        length = struct.unpack("<I", data[10:14])[0]
        bus = data[14:14 + length].decode("utf-16-le", "replace").rstrip("\0")
        out.setdefault("networks", []).append([data[0], data[4:10].hex(":"), bus])
    elif kind == 9:
        out.setdefault("displays", []).append(list(struct.unpack("<4H", data[:8])))
    elif kind == 10:
        out["chassis"], out["role"] = data[0], data[1]
    elif kind == 11:
        zero, sort, length, _ = struct.unpack("<IHHH", data[:10])
        out["offlineId"] = [sort, data[10:10 + length].hex()]
    elif kind == 12:
        out["uuid"] = guid(data)
    elif kind == 25:
        out["ek"] = data.hex()
    elif kind == 29:
        out.setdefault("gpus", []).append(list(struct.unpack("<II", data[:8])))
    elif kind == 30:
        out.setdefault("gpuNames", []).append(data.decode("utf-16-le", "replace").rstrip("\0"))


def read(line):
    line = line.strip().rstrip("=")
    line = line[:len(line) - (len(line) % 4 == 1)]
    raw = base64.b64decode(line + "=" * (-len(line) % 4))
    if raw[:2] != b"OA":
        raise ValueError("no OA at the start")
    total = struct.unpack("<H", raw[2:4])[0]
    records, values, at = [], {}, 4
    while at < total:
        kind, length = struct.unpack("<HH", raw[at:at + 4])
        if length < 4 or at + length > total:
            raise ValueError(f"record at {at} has length {length}")
        data = raw[at + 4:at + length]
        records.append([kind, data.hex()])
        record(kind, data, values)
        at += length
    trailer = raw[total:total + 36]
    good = trailer[:4] == b"CS\x24\x00" and trailer[4:] == hashlib.sha256(raw[:total]).digest()
    return {"size": len(raw), "total": total, "checksum": good, "records": records, "values": values}


for entry in sys.stdin:
    try:
        print(json.dumps(read(entry)))
    except (ValueError, struct.error, IndexError) as e:
        print(json.dumps({"error": str(e)}))
