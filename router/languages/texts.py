"""The languages there are, and all that is said in one of them: texts, dates, times."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from gettext import NullTranslations
from pathlib import Path
from typing import TYPE_CHECKING, Final

from babel import Locale
from babel.dates import format_date, format_time, format_timedelta

from router.errors import BadSettings
from router.languages.catalogue import catalogues_in, read_catalogue
from router.languages.choice import SOURCE, choose_language

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

_STOCK: Final = Path(__file__).resolve().parent / "locales"
_TWO: Final = 2
_DATES: Final = {"en": "en_GB"}
"""Whose dates are used: those that every reader of English reads alike."""


@dataclass(frozen=True, slots=True)
class Texts:
    """What is said in one language. ``code`` is for ``lang`` attributes, ``name`` is the language's own.

    A literal ``%`` is doubled in every text. Times are unix seconds, shown in UTC unless told otherwise.
    """

    code: str
    name: str
    _locale: Locale = field(repr=False)
    _translations: NullTranslations = field(repr=False)

    def gettext(self, message: str) -> str:
        """Translate a text; English where there is no translation."""
        return self._translations.gettext(message)

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        """Translate a text that has a number in it, in the form that the language has for the number."""
        return self._translations.ngettext(singular, plural, number)

    def pgettext(self, context: str, message: str) -> str:
        """Translate a text that means two things: ``context`` says which."""
        return self._translations.pgettext(context, message)

    def npgettext(self, context: str, singular: str, plural: str, number: int) -> str:
        """Do both."""
        return self._translations.npgettext(context, singular, plural, number)

    def date(self, at: float, zone: tzinfo = UTC) -> str:
        """Say a day: ``22. November 2026``."""
        said = format_date(datetime.fromtimestamp(at, zone), "long", self._locale)
        # The one day that French gives as an ordinal: the pattern of Unicode's CLDR has no way to say that.
        return "1er" + said[1:] if self._locale.language == "fr" and said.startswith("1 ") else said

    def date_time(self, at: float, zone: tzinfo = UTC) -> str:
        """Say a day and an hour with its zone: ``22. November 2026 um 19:16 UTC``."""
        moment = datetime.fromtimestamp(at, zone)
        time = f"{format_time(moment, 'short', zone, self._locale)} {moment.tzname()}"
        return self.gettext("%(date)s at %(time)s") % {"date": self.date(at, zone), "time": time}

    def ago(self, seconds: float) -> str:
        """Say how long ago something was, a minute at least, in a unit that there are two of.

        So ``vor 36 Stunden`` and not ``vor 1 Tag``.
        """
        since = -max(1, round(seconds))
        return format_timedelta(since, "minute", _TWO, add_direction=True, locale=self._locale)


class Languages:
    """All languages there are; English, which texts are written in, is always among them."""

    def __init__(self, translations: Mapping[str, NullTranslations]) -> None:
        every = {SOURCE: NullTranslations(), **translations}
        self._texts = {code: _texts(code, every[code]) for code in sorted(every)}
        self.offered: Final = tuple(sorted(self._texts.values(), key=lambda texts: texts.name))
        """Every language, in the order of their own names, as a switcher lists them."""

    @classmethod
    def load(cls, own: Path | None = None) -> Languages:
        """Read the stock catalogues, and those in ``own``, which add languages or say things differently.

        Raises ``BadSettings("bad_catalogue")``, which names the file at fault.
        """
        if own is not None and not own.is_dir():
            raise BadSettings("bad_catalogue", f"The folder of catalogues {own} does not exist.")
        stock = cls({code: read_catalogue(path) for code, path in catalogues_in(_STOCK).items()})
        return stock if own is None else stock.with_own(own)

    def with_own(self, folder: Path) -> Languages:
        """Put a folder's catalogues before these: a theme's own ``locales/``. These stay as they are.

        Raises as ``load``.
        """
        own = {code: read_catalogue(path) for code, path in catalogues_in(folder).items()}
        if not own:
            return self
        every = {code: texts._translations for code, texts in self._texts.items()}  # noqa: SLF001 - our own
        for code, translations in own.items():
            if code in every:
                translations.add_fallback(every[code])
            every[code] = translations
        return Languages(every)

    @property
    def codes(self) -> tuple[str, ...]:
        """The languages' codes, in the alphabet's order."""
        return tuple(self._texts)

    def texts(self, code: str | None) -> Texts:
        """Give a language's texts, or the English ones where there is no such language."""
        return self._texts.get(code or SOURCE) or self._texts[SOURCE]

    def choose(self, *, cookie: str | None = None, accept: str = "", tenant: str | None = None) -> str:
        """Choose the language to answer in (choice.py)."""
        return choose_language(self._texts, cookie=cookie, accept=accept, tenant=tenant)


def _texts(code: str, translations: NullTranslations) -> Texts:
    locale = Locale.parse(code, sep="-")
    name = locale.get_display_name(locale) or code
    dates = Locale.parse(_DATES[code]) if code in _DATES else locale
    return Texts(code, name[0].upper() + name[1:], dates, translations)
