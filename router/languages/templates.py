"""Texts in Jinja templates: ``_("…")``, ``ngettext``, ``{% trans %}``, and filters for dates.

A template is rendered with ``texts`` (a :class:`~router.languages.texts.Texts`) among its variables. A file
of macros that say something is imported ``with context``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jinja2
from jinja2 import pass_context

from router.languages.texts import Texts

if TYPE_CHECKING:
    from jinja2.runtime import Context


def install_texts(environment: jinja2.Environment) -> None:
    """Teach an environment ``_``, ``gettext``, ``ngettext``, ``pgettext``, ``npgettext``, ``{% trans %}``.

    And the filters ``date``, ``date_time``, ``ago`` and ``duration``, named after the methods of ``Texts``.
    What is put into a text is escaped; the text itself and its translations may hold markup.
    """
    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True  # a text may stand on several lines
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        _gettext, _ngettext, newstyle=True, pgettext=_pgettext, npgettext=_npgettext
    )
    environment.filters.update(date=_date, date_time=_date_time, ago=_ago, duration=_duration)


def _texts(context: Context) -> Texts:
    texts = context.get("texts")
    if not isinstance(texts, Texts):
        raise jinja2.UndefinedError("no language is known here: import what says something “with context”")
    return texts


@pass_context
def _gettext(context: Context, message: str) -> str:
    return _texts(context).gettext(message)


@pass_context
def _ngettext(context: Context, singular: str, plural: str, number: int) -> str:
    return _texts(context).ngettext(singular, plural, number)


@pass_context
def _pgettext(context: Context, what: str, message: str) -> str:
    return _texts(context).pgettext(what, message)


@pass_context
def _npgettext(context: Context, what: str, singular: str, plural: str, number: int) -> str:
    return _texts(context).npgettext(what, singular, plural, number)


@pass_context
def _date(context: Context, at: float) -> str:
    return _texts(context).date(at)


@pass_context
def _date_time(context: Context, at: float) -> str:
    return _texts(context).date_time(at)


@pass_context
def _ago(context: Context, seconds: float) -> str:
    return _texts(context).ago(seconds)


@pass_context
def _duration(context: Context, seconds: float) -> str:
    return _texts(context).duration(seconds)
