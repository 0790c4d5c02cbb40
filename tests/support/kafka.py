"""A real Apache Kafka for the tests: one broker in KRaft mode, from its published artifacts.

`python -m tests.support.kafka` fetches them and prepares a quick start; tests do so themselves when they first need it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from tests.support.ports import free_port
from tests.support.server_process import NotToBeHad, ServerProcess

POM = Path(__file__).with_name("kafka-broker") / "pom.xml"
FORMAT_S, DOWNLOAD_S = 120.0, 600.0
HEAP = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")  # ready soon, small for ever
CLUSTER = "MkU3OEVBNTcwNTJENDM2Qk"

SETTINGS = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/log
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.backoff.ms=200
log.retention.check.interval.ms=500
log.segment.delete.delay.ms=500
"""


class KafkaBroker(ServerProcess):
    """A broker with its data in a folder: it may be stopped, killed and started again with the same address.

    Args:
        options: of its virtual machine, instead of those that let it start soon.
    """

    def __init__(self, folder: Path, settings: str = SETTINGS, *, options: Sequence[str] | None = None) -> None:
        super().__init__(folder)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        jars = artifacts()
        options = shared_classes(jars) if options is None else options
        self._java = ["java", *HEAP, *options, "-cp", f"{jars}/*"]
        file = folder / "server.properties"
        file.write_text(settings.format(port=self.port, controller=free_port(), folder=folder))
        format_storage = ["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(file)]
        subprocess.run([*self._java, *format_storage], check=True, capture_output=True, timeout=FORMAT_S)

    def command(self) -> list[str]:
        """A broker that is its own controller."""
        return [*self._java, "kafka.Kafka", str(self.folder / "server.properties")]

    def answers(self) -> bool:
        """Whether a client finds it."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=3).close()  # a client would try for longer
            admin = KafkaAdminClient(
                bootstrap_servers=self.address, bootstrap_timeout_ms=2_000, request_timeout_ms=3_000
            )
        except (KafkaError, OSError):
            return False
        admin.close()
        return True


def artifacts() -> Path:
    """The folder of Kafka's jars, fetched when first needed.

    Raises:
        NotToBeHad: without `java` and `mvn`, or without the registry.
    """
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise NotToBeHad(f"Apache Kafka needs {program}, which is not on this machine")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dangol"
    cache.mkdir(parents=True, exist_ok=True)
    jars = cache / "kafka-4.1.1"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars.exists():
            fetched = jars.with_suffix(".part")
            shutil.rmtree(fetched, ignore_errors=True)
            command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
            finished = subprocess.run(
                [*command, f"-DoutputDirectory={fetched}"], capture_output=True, timeout=DOWNLOAD_S, check=False
            )
            if finished.returncode:
                raise NotToBeHad(f"Apache Kafka could not be fetched: {finished.stdout.decode()[-500:]}")
            fetched.rename(jars)
    return jars


def shared_classes(jars: Path) -> tuple[str, ...]:
    """Options with which a broker takes its classes as an earlier one left them, and starts in half the time."""
    archive = jars.with_name(f"{jars.name}.jsa")
    with archive.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            left = archive.with_suffix(".part")
            with tempfile.TemporaryDirectory() as folder:
                broker = KafkaBroker(Path(folder), options=(f"-XX:ArchiveClassesAtExit={left}",))
                broker.stop_s = DOWNLOAD_S
                broker.start()
                broker.stop()
            if not left.exists():  # a virtual machine that cannot do it
                return ()
            left.rename(archive)
    return (f"-XX:SharedArchiveFile={archive}",)


if __name__ == "__main__":
    try:
        shared_classes(artifacts())
    except NotToBeHad as missing:
        print(f"tests: {missing}: some tests will be skipped", file=sys.stderr)
