"""The bundle that was in use when a retraining began."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from triage.commands.handing_over import named_in
from triage.commands.opening import usable_bundle, warn
from triage.errors import BundleError
from triage.issue import format_time, parse_time

if TYPE_CHECKING:
    from triage.bundle.bundle import Bundle
    from triage.bundle.store import Store


@dataclass(frozen=True)
class Before:
    """The active bundle as it was when learning began, under the name that the store gave it ("": none).

    `bundle` is the one that can be used: where the active one is not `whole`, an older one, or none.
    """

    name: str = ""
    bundle: Bundle | None = None
    whole: bool = True

    def later(self, at: datetime) -> str:
        """The date (ISO 8601) of what is learnt at `at`: after this bundle's, since names sort by it."""
        moments = [at]
        if self.bundle:
            # A clock may have been set back, or been fast when the bundle before was made.
            moments.append(parse_time(self.bundle.manifest.created_at) + timedelta(seconds=1))
        return format_time(max(moments)) or ""


def before_learning(against: Store) -> Before:
    """What is compared with. A store without one whole bundle must not keep the next one from being learnt."""
    name = named_in(against, "active")
    try:
        found = usable_bundle(against)
    except BundleError as error:
        warn(f"{error.what}; there is nothing to compare with, so the new bundle takes its place")
        return Before(name, whole=False)
    return Before(name, found[1], found[0] == name) if found else Before(name)
