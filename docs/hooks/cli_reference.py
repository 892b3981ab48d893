"""Writes the reference of the command line while the site is built, from the commands themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

PAGE = "reference/cli.md"
MARKER = "<!-- every command -->"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Replaces the marker of the page with one section a command; called by MkDocs for every page."""
    if page.file.src_uri != PAGE:
        return markdown
    if MARKER not in markdown:
        raise ValueError(f"{PAGE} has lost its marker {MARKER}")
    from oodseg.cli.main import app

    command = typer.main.get_command(app)
    return markdown.replace(MARKER, "\n".join(sections(command, "oodseg")))


def sections(command: Any, name: str) -> Iterator[str]:
    """Yields the Markdown of a command and of all below it."""
    children = {key: each for key, each in getattr(command, "commands", {}).items() if not each.hidden}
    # Groups are written as level 2 like their commands, so that the table of contents lists all of them.
    yield f"## {name}\n"
    yield prose(command.help)
    context = typer.Context(command, info_name=name)
    yield f"```text\n{name} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    arguments: list[tuple[str, str]] = []
    options: list[tuple[str, str]] = []
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None and not parameter.hidden:
            name_and_type, text = record
            if parameter.param_type_name == "argument":
                arguments.append((name_and_type.partition(" <")[0], text))
            else:
                options.append((name_and_type, text))
    yield from table("Argument", arguments)
    yield from table("Option", options)
    yield prose(command.epilog)
    for key, child in children.items():
        yield from sections(child, f"{name} {key}")


def table(head: str, rows: list[tuple[str, str]]) -> Iterator[str]:
    """Yields a Markdown table of names and help texts."""
    if rows:
        yield f"| {head} | Meaning |\n|---|---|"
        for name, text in rows:
            # Within code a pipe needs no escape, and would show it.
            yield f"| `{name}` | {cell(escape(text))} |"
        yield ""


def prose(text: str | None) -> str:
    """Turns a help text, with the markup of Rich, into Markdown paragraphs; commands become code."""
    paragraphs = re.split(r"\n\s*\n", re.sub(r"\\\n\s*", "", text or "").strip())
    return "\n\n".join(paragraph(each) for each in paragraphs if each) + "\n"


def paragraph(text: str) -> str:
    """Turns one paragraph into Markdown; one that is a command line becomes a block of code."""
    if re.match(r"oodseg \S", text):
        return f"```console\n{text}\n```"
    marked = re.sub(r"\[/?bold\]", "**", text)
    return re.sub(r"\[/?[a-z ]+\]", "", escape(marked))


def escape(text: str) -> str:
    """Keeps Markdown from reading `<`, `*` and `_` of a help text as markup, but for what is bold or code."""
    pieces = re.split(r"(`[^`]*`|\*\*)", text)
    return "".join(
        piece if index % 2 else re.sub(r"([<*_])", r"\\\1", piece) for index, piece in enumerate(pieces)
    )


def cell(text: str) -> str:
    """Keeps a text within one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
