"""Reads a file with Python's csv module and prints its rows as one JSON array."""

import csv
import io
import json
import sys

text = sys.stdin.buffer.read().decode("utf-8")
print(json.dumps([row for row in csv.reader(io.StringIO(text, newline="")) if row]))
