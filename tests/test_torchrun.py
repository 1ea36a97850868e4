"""torchrun as people call it: restarts on one host, and two hosts that see each other through a network only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from same import assert_same
from test_distributed import Setting, assert_close, cleared, errors
from unwrapped import unwrapped
from workers import Ambush

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("launched.py")
# Names of namespaces are known everywhere, those of devices and addresses within one.
HOSTS = {f"ntps-{os.getpid()}-a": "10.213.77.1", f"ntps-{os.getpid()}-b": "10.213.77.2"}
CABLE = "ntps"


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return Setting(tmp_path_factory.mktemp("setting"))


def launch(
    options: Sequence[object], command: Sequence[object], ambush: Ambush | None = None, host: str | None = None
) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SCRIPT.parent), *sys.path])}
    if ambush is not None:
        environment["AMBUSH"] = json.dumps(asdict(ambush))
    if host is not None:
        environment["GLOO_SOCKET_IFNAME"] = CABLE
    inside = [] if host is None else ["ip", "netns", "exec", host]
    torchrun = [*inside, sys.executable, "-m", "torch.distributed.run", *options, SCRIPT, *command]
    return subprocess.Popen(
        [str(part) for part in torchrun],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_torchrun_starts_a_killed_process_again(setting: Setting, tmp_path: Path) -> None:
    options = ["--standalone", "--nproc-per-node", 2, "--max-restarts", 1]
    process = launch(options, setting.command(tmp_path / "run"), Ambush(1, "ntps.forward.stream:Pass.run_batch", 4))
    said, _nothing = process.communicate(timeout=400)
    assert process.returncode == 0, said
    assert "started again" in unwrapped(said)
    assert_same(tmp_path / "run", setting.whole(2))


def test_torchrun_goes_on_with_the_rows_of_a_killed_process(setting: Setting, tmp_path: Path) -> None:
    probe = ["probe", setting.model, setting.task, "--kind", "tangent", "--tokens-per-batch", 40, "-q", "--out"]
    for name, size, ambush in (
        ("whole", 1, None),
        ("run", 2, Ambush(1, "ntps.forward.tangents:TangentPass._run_batch", 4)),
    ):
        options = ["--standalone", "--nproc-per-node", size, "--max-restarts", 1]
        process = launch(options, [*probe, tmp_path / name], ambush)
        said, _nothing = process.communicate(timeout=400)
        assert process.returncode == 0 and ("started again" in unwrapped(said)) == (size == 2), said
    assert_same(tmp_path / "run", tmp_path / "whole")


def test_torchrun_without_restarts_ends_with_a_sentence(setting: Setting, tmp_path: Path) -> None:
    process = launch(["--standalone", "--nproc-per-node", 3], setting.command(tmp_path / "run", "--layers", "7"))
    said, _nothing = process.communicate(timeout=400)
    assert process.returncode == 1
    assert len(errors(said)) == 1 and "--layers asks for layer 7" in errors(said)[0]


@pytest.fixture
def hosts() -> Iterator[None]:
    """Two network namespaces, joined by a cable."""

    def ip(*arguments: str) -> None:
        try:
            subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("there is no ip command")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces are not permitted: {error.stderr.strip()}")

    try:
        for host in HOSTS:
            ip("netns", "add", host)
        first, second = HOSTS
        ip("link", "add", CABLE, "netns", first, "type", "veth", "peer", "name", CABLE, "netns", second)
        for host, address in HOSTS.items():
            ip("-n", host, "addr", "add", f"{address}/24", "dev", CABLE)
            for device in (CABLE, "lo"):
                ip("-n", host, "link", "set", device, "up")
        yield
    finally:
        for host in HOSTS:
            subprocess.run(["ip", "netns", "del", host], check=False, capture_output=True)


@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize("shared", [True, False], ids=["common folder", "folders of their own"])
def test_two_hosts(shared: bool, setting: Setting, tmp_path: Path) -> None:
    first, second = HOSTS
    folders = {first: tmp_path / "run", second: tmp_path / ("run" if shared else "other")}

    def run(ambush: Ambush | None) -> tuple[list[int], list[str]]:
        processes = []
        for number, (host, address) in enumerate(HOSTS.items()):
            place = ["--node-rank", number, "--local-addr", address, "--master-addr", HOSTS[first]]
            options = ["--nnodes", 2, "--nproc-per-node", 2, "--master-port", 29417, *place]
            processes.append(launch(options, setting.command(folders[host]), ambush, host))
        try:
            said = [process.communicate(timeout=400)[0] for process in processes]
        finally:
            for process in processes:
                process.terminate()
        return [process.returncode for process in processes], said

    codes, said = run(Ambush(3, "ntps.forward.stream:Pass.run_batch", 2))
    assert codes == [1, 1], "\n".join(said)
    # Its own host knows the signal; the other one learns that it has ended, and does not wait for ever.
    assert "SIGKILL" in said[1] and "process 2 of 4 on" in "".join(errors(said[0])), "\n".join(said)
    assert (folders[second] / "progress" / "rank.3" / "ledger.json").exists()
    codes, said = run(None)
    assert codes == [0, 0], "\n".join(said)
    assert_same(folders[first], setting.whole(4))
    assert_close(folders[first], setting.whole(1))
    assert cleared(folders[first]) and (shared or not folders[second].exists())
