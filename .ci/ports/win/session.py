"""Writes one session of three turns as Claude Code does: session.py CLIENT_DIRECTORY CWD SESSION TITLE"""
import json
import re
import sys
import time
import uuid
from pathlib import Path

client_directory, cwd, session, title = sys.argv[1:]
separator = "\\" if "\\" in cwd else "/"
directory = Path(client_directory) / "projects" / re.sub(r"[^A-Za-z0-9]", "-", cwd)
directory.mkdir(parents=True, exist_ok=True)
began = time.time() - 3600
parent = None
with (directory / f"{session}.jsonl").open("a", newline="\n") as transcript:
    for turn in range(3):
        file = f"{cwd}{separator}src{separator}a.rs"
        texts = {"user": f"{title} turn {turn}: see {file}", "assistant": f"reply {turn} about {file}"}
        for role, text in texts.items():
            record = {
                "parentUuid": parent,
                "isSidechain": False,
                "userType": "external",
                "cwd": cwd,
                "sessionId": session,
                "version": "2.1.332",
                "type": role,
                "message": {"role": role, "content": text if role == "user" else [{"type": "text", "text": text}]},
                "uuid": str(uuid.uuid5(uuid.UUID(int=0), f"{session}{turn}{role}")),
                "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(began + turn)),
            }
            transcript.write(json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n")
            parent = record["uuid"]
