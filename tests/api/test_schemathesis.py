"""schemathesis against the OpenAPI document: whatever it thinks of, the API answers, never with its own failure."""

import asyncio
import sys
from pathlib import Path

from router.couch.database import Database
from tests.api.issuer import token
from tests.api.serving import API_KEY, Api
from tests.inbox.making import made, written

MAX_EXAMPLES = 8
TIMEOUT_SECONDS = 150.0


async def test_it_finds_no_failure_of_ours(api: Api, database: Database, tmp_path: Path) -> None:
    await written(database, [made("alice", number) for number in range(5)])
    everything = token(roles=["user", "service", "admin"])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "schemathesis.cli", "run", f"{api.url}/openapi.json",
        "--checks", "not_a_server_error,content_type_conformance,response_schema_conformance",
        "--max-examples", str(MAX_EXAMPLES), "--no-color", "--seed", "1", "--request-timeout", "20",
        "--exclude-operation-id", "sse",  # It never ends.
        "-H", f"Authorization: Bearer {everything}", "-H", f"X-API-Key: {API_KEY}",
        cwd=tmp_path,  # It leaves files behind.
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    report = said.decode(errors="replace")
    assert process.returncode == 0, report[-5000:]
    assert "generated" in report, report[-2000:]
