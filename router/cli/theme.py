"""``tenant-router theme``: list, check."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from router.cli.output import AsJson, Exit, answer, show_list
from router.errors import BadInput
from router.observe import logs
from router.settings import Settings, load_settings

if TYPE_CHECKING:
    from router.portal.themes import Themes

app = App(name="theme", help="Themes: list, check.")


@app.command(name="list")
def list_(*, as_json: AsJson = False) -> None:
    """List the themes that tenants can be given: the stock ones, and those in ROUTER_THEMES_DIR.

    For example:
        tenant-router theme list
    """
    settings = _quiet_settings()
    themes = load_themes(settings.themes_dir, settings.languages_dir)
    rows: list[dict[str, object]] = [
        {
            "name": theme.name,
            "title": theme.manifest.title,
            "description": theme.manifest.description,
            "parent": theme.manifest.parent,
            "languages": list(theme.languages.codes),
            "folder": str(theme.folders[0]),
            "fault": "",
        }
        for theme in themes
    ]
    rows += [
        {**dict.fromkeys(rows[0], ""), "languages": [], "name": name, "fault": fault}
        for name, fault in themes.faults.items()
    ]
    columns = ["name", "title", "description", *(["fault"] if themes.faults else [])]
    show_list(rows, columns, as_json=as_json, none="There are no themes.")


@app.command
def check(
    theme: Annotated[str, Parameter(help="A theme's name, or the path of its folder.")],
    /,
    *,
    as_json: AsJson = False,
) -> Exit:
    """Render every page and mail of a theme, in every language, and name each fault by file and line.

    Exit code 1 where there is one.

    For example:
        tenant-router theme check spring
        tenant-router theme check ./themes/spring
    """
    from router.languages.texts import Languages  # noqa: PLC0415 - --help does without
    from router.portal.theme import theme_exists  # noqa: PLC0415 - the same
    from router.portal.theme_check import check_theme  # noqa: PLC0415 - the same

    settings, folder = _quiet_settings(), Path(theme).resolve()
    by_path = "/" in theme or theme == "."
    own, name = (folder.parent, folder.name) if by_path else (settings.themes_dir, theme)
    if not theme_exists(name, own):
        looked = f"{folder} has no theme.toml" if by_path else "see tenant-router theme list, or give a path"
        raise BadInput("unknown_theme", f"There is no theme “{theme[:200]}”: {looked}.")
    report = check_theme(name, own, Languages.load(settings.languages_dir))
    said = [f"{fault.where}: {fault.what}" for fault in report.faults]
    count = len(report.faults)
    end = f"{count} fault{'s' if count > 1 else ''}." if count else "No faults."
    size = f"the largest page has {report.largest / 1000:.1f} KB"
    told = f"{report.theme}: {report.rendered} pages and mails were rendered, {size}. {end}"
    answer(asdict(report), *said, told, as_json=as_json)
    return Exit.WRONG if report.faults else Exit.OK


def load_themes(themes_dir: Path | None, languages_dir: Path | None) -> Themes:
    """Read the themes that there are; the folders are those of own themes and own catalogues."""
    from router.languages.texts import Languages  # noqa: PLC0415 - --help does without
    from router.portal.themes import Themes  # noqa: PLC0415 - the same

    return Themes.load(themes_dir, Languages.load(languages_dir))


def _quiet_settings() -> Settings:
    """Read the settings; what reading the themes would log is told by the command itself."""
    logs.configure("critical", json=False)
    return load_settings()
