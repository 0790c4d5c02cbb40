"""`dangol customer` and `dangol keys`: who is in the log, and who may call."""

from __future__ import annotations

import sys

import click
import msgspec

from ingest.vocabulary.ids import parse_customer_id
from serving.access import Kind
from serving.commands.options import Options, command


def add_commands(main: click.Group) -> None:
    """Add what is about people and keys."""

    @main.group()
    def customer() -> None:
        """A customer's profile, export and erasure."""

    @command(customer, "show")
    @click.argument("customer_id")
    def show(options: Options, customer_id: str) -> None:
        """The profile."""
        from serving.wiring import open_engine

        with open_engine(options.folder, options.configuration) as engine:
            options.show(engine.people.show(parse_customer_id(customer_id)))

    @command(customer, "export")
    @click.argument("customer_id")
    def export(options: Options, customer_id: str) -> None:
        """Everything that is kept, one JSON object a line: the profile, then every fact."""
        from serving.wiring import open_engine

        with open_engine(options.folder, options.configuration) as engine:
            for each in engine.people.export(parse_customer_id(customer_id)):
                sys.stdout.buffer.write(msgspec.json.encode(each) + b"\n")

    @command(customer, "forget")
    @click.argument("customer_id")
    def forget(options: Options, customer_id: str) -> None:
        """Forget the customer everywhere, for good."""
        from serving.wiring import open_engine

        with open_engine(options.folder, options.configuration) as engine:
            forgotten = engine.forget(parse_customer_id(customer_id))
        options.show(forgotten, f"forgotten: {forgotten.subjects} subjects, {forgotten.dead_letters} dead letters")

    _add_keys(main)


def _add_keys(main: click.Group) -> None:
    @main.group()
    def keys() -> None:
        """API keys."""

    @command(keys, "create")
    @click.option("--publishable", "kind", flag_value="publishable", help="For browsers: collects and asks.")
    @click.option("--secret", "kind", flag_value="secret", help="For servers: may do everything.")
    @click.option("--feed", metavar="NAME", help="Reads the feed NAME.")
    @click.option("--name", default="", help="What it is for, to tell keys apart.")
    def create(options: Options, kind: Kind | None, feed: str | None, name: str) -> None:
        """Make a key. It is shown once."""
        from serving.wiring import open_keys

        if (kind is None) == (feed is None):
            raise click.UsageError("say what the key is: --publishable, --secret or --feed NAME")
        access, clock = open_keys(options.folder)
        held, key = access.create(kind or "feed", name=name, now=clock.now(), feed=feed)
        options.show(
            {"key": held, "key_id": key.key_id, "kind": key.kind}, f"{held}\n(id {key.key_id}; not shown again)"
        )

    @command(keys, "list")
    def list_(options: Options) -> None:
        """The keys, without what their owners hold."""
        from serving.wiring import open_keys

        access, _ = open_keys(options.folder)
        found = [
            {"key_id": key.key_id, "kind": key.kind, "name": key.name, "feed": key.feed, "created_at": key.created_at,
             "revoked_at": key.revoked_at}
            for key in access.all()
        ]  # fmt: skip
        lines = [
            f"{each['key_id']}  {each['kind']:<12} {each['name'] or each['feed'] or ''}"
            f"{'  revoked' if each['revoked_at'] else ''}"
            for each in found
        ]
        options.show({"keys": found}, "\n".join(lines) or "no keys")

    @command(keys, "revoke")
    @click.argument("key_id")
    def revoke(options: Options, key_id: str) -> None:
        """End a key."""
        from serving.wiring import open_keys

        access, clock = open_keys(options.folder)
        key = access.revoke(key_id, now=clock.now())
        options.show({"key_id": key.key_id, "revoked_at": key.revoked_at}, f"{key.key_id} revoked")
