"""``fer-opt recipes`` and ``cache``: what can be done to a model, and what has been kept of it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fer_opt.cli.console import print_json, print_table, print_text, say
from fer_opt.cli.convert import megabytes
from fer_opt.cli.options import AsJson

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("recipes", epilog="Example: fer-opt recipes prune_channels")(recipes)
    cache = typer.Typer(help="Show or clear the kept results of compression steps.")
    cache.callback(invoke_without_command=True)(cache_show)
    cache.command("clear")(cache_clear)
    app.add_typer(cache, name="cache")


def recipes(
    step: Annotated[
        str | None, typer.Argument(help="Show one step and its options.", show_default=False)
    ] = None,
    json: AsJson = False,
) -> None:
    """Show a shelf of good recipes, and the steps that recipes are made of."""
    from fer_opt.errors import RecipeError
    from fer_opt.recipe import SHELF, STEPS, make_step

    if step is not None:
        if any(item.name == step for item in SHELF):
            item = next(item for item in SHELF if item.name == step)
            print_text(f"{item.name}: {item.text}\n{item.use}")
            return
        if step not in STEPS:
            make_step(step)
            raise RecipeError(f"there is no step {step!r}.")
        _show_step(step, json)
        return
    if json:
        print_json(
            {
                "recipes": [
                    {"name": item.name, "recipe": item.text, "use": item.use} for item in SHELF
                ],
                "steps": {name: _step_facts(name) for name in STEPS},
            }
        )
        return
    print_text(
        "A recipe is steps joined by >, number format last. The name of one on the shelf will do:\n"
    )
    for item in SHELF:
        print_text(f"{item.name}: {item.use}\n    {item.text}\n")
    print_table(
        "steps (fer-opt recipes STEP shows the options)",
        ["step", "what it does"],
        [[str(make_step(name)), make_step(name).title] for name in STEPS],
        left=(0, 1),
    )


def _show_step(name: str, json: bool) -> None:
    if json:
        print_json({name: _step_facts(name)})
        return
    facts = _step_facts(name)
    print_text(f"{facts['example']}: {facts['title']}")
    if facts["options"]:
        print_table(
            f"options of {name}",
            ["option", "default", "values", "what it is"],
            [
                [key, str(item["default"]), item["values"], item["help"]]
                for key, item in facts["options"].items()
            ],
            left=(0, 2, 3),
        )
    else:
        print_text("It takes no options.")


def _step_facts(name: str) -> dict[str, Any]:
    from fer_opt.recipe import STEPS, Choice, Number, make_step

    options = {}
    for key, option in STEPS[name].options.items():
        values = "text"
        if isinstance(option, Choice):
            values = ", ".join(option.values)
        elif isinstance(option, Number):
            values = option.bounds
        options[key] = {"default": option.default, "values": values, "help": option.help}
    step = make_step(name)
    return {"title": step.title, "example": str(step), "options": options}


def cache_show(context: typer.Context, json: AsJson = False) -> None:
    """Show what is kept, and where."""
    if context.invoked_subcommand is not None:
        return
    from fer_opt.experiment.store import default_store

    store = default_store()
    entries = store.entries()
    sizes = {entry.key: store.size_bytes(entry.key) for entry in entries}
    if json:
        print_json(
            {
                "folder": str(store.folder),
                "size_bytes": store.size_bytes(),
                "entries": [
                    {
                        "key": entry.key,
                        "model": entry.model,
                        "recipe": entry.recipe,
                        "created_at": entry.created_at,
                        "took_s": entry.took_s,
                        "size_bytes": sizes[entry.key],
                    }
                    for entry in entries
                ],
            }
        )
        return
    if not entries:
        say(f"Nothing is kept in {store.folder}.")
        return
    print_table(
        f"{store.folder}",
        ["model", "steps so far", "size", "took", "made"],
        [
            [
                entry.model,
                entry.recipe,
                megabytes(sizes[entry.key]),
                f"{entry.took_s:.0f} s",
                entry.created_at[:16].replace("T", " "),
            ]
            for entry in entries
        ],
        left=(0, 1),
    )
    say(
        f"{len(entries)} results, {megabytes(sum(sizes.values()))}; "
        "fer-opt cache clear removes them."
    )


def cache_clear() -> None:
    """Remove every kept result; the next run carries the steps out again."""
    from fer_opt.experiment.store import default_store

    store = default_store()
    size = store.size_bytes()
    count = store.clear()
    say(f"Removed {count} results ({megabytes(size)}) from {store.folder}.")
