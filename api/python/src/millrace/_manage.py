"""What a client does to what there is: deletions, changes of many, schedules and webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._lifecycle import archival, bulk_change, deletion
from ._schedules import new_schedule, schedule_change, schedule_deletion, schedule_run, schedule_slots
from ._sending import Sender
from ._webhooks import new_webhook, webhook_change, webhook_deletion, webhook_deliveries, webhook_redelivery, webhook_rotation, webhook_test


class Manager(Sender):
    """The calls about what there is."""

    def delete(self, kind: str, id: str, *, cascade: bool = False, dry_run: bool = False, versions: str | None = None) -> dict[str, Any]:
        """Delete a tune, wfo, run_plan, run, dataset, document or strategy; ``dry_run`` reads what would go."""
        return self._send(deletion(kind, id, cascade, dry_run, versions))

    def archive(self, kind: str, id: str, *, restore: bool = False) -> dict[str, Any]:
        """Take something of a kind out of the lists, or put it back with ``restore``."""
        return self._send(archival(kind, id, restore))

    def bulk(self, kind: str, action: str, *tags: str, cascade: bool = False, confirm: int | None = None, **filters: Any) -> dict[str, Any]:
        """Cancel, retry, delete, archive, restore, tag or untag all that filters find; without ``confirm``, count them."""
        return self._send(bulk_change(kind, action, filters, tags, cascade, confirm))

    def schedule(self, name: str, kind: str, request: dict[str, Any], *, cron: str | None = None, time_zone: str | None = None,
                 on_new_bars: str | None = None, missed_policy: str | None = None, paused: bool = False, key: str | None = None) -> dict[str, Any]:
        """Submit a tune, wfo or ingestion by a cron line in a time zone, or at every new version of a dataset."""
        return self._send(new_schedule(name, kind, request, cron, time_zone, on_new_bars, missed_policy, paused, key))

    def schedules(self) -> list[dict[str, Any]]:
        """The schedules with their next slot and last run, newest first."""
        return [s for s in self._pages("/schedules", limit=200)]

    def change_schedule(self, id: str, **changes: Any) -> dict[str, Any]:
        """Pause or resume a schedule (``paused=True``), or change its name, cron, time_zone or missed_policy."""
        return self._send(schedule_change(id, changes))

    def run_schedule(self, id: str, *, key: str | None = None) -> dict[str, Any]:
        """Run a schedule now, once for each key."""
        return self._send(schedule_run(id, key))

    def schedule_history(self, id: str, limit: int = 50) -> list[dict[str, Any]]:
        """The newest runs of a schedule and what changed from one to the next, newest first."""
        return self._send(schedule_slots(id, limit))

    def delete_schedule(self, id: str) -> None:
        """Delete a schedule and its history; what it has submitted continues."""
        self._send(schedule_deletion(id))

    def add_webhook(self, url: str, *, topics: Sequence[str] = (), types: Sequence[str] = (), entity_id: str = "", label: str = "",
                    description: str = "", key: str | None = None) -> dict[str, Any]:
        """Have events posted to an address. The answer holds the ``secret`` that signs them, this once."""
        return self._send(new_webhook(url, topics, types, entity_id, label, description, key))

    def webhooks(self) -> list[dict[str, Any]]:
        """The webhooks and how each goes, newest first."""
        return [w for w in self._pages("/webhooks", limit=200)]

    def change_webhook(self, id: str, **changes: Any) -> dict[str, Any]:
        """Change what is named of a webhook; ``state="paused"`` pauses it and ``state="active"`` resumes it where it was."""
        return self._send(webhook_change(id, changes))

    def rotate_webhook(self, id: str, *, overlap_seconds: int = 86400, key: str | None = None) -> dict[str, Any]:
        """Give a webhook another ``secret``; the old one signs too for so long."""
        return self._send(webhook_rotation(id, overlap_seconds, key))

    def test_webhook(self, id: str, *, key: str | None = None) -> dict[str, Any]:
        """Have a test message sent."""
        return self._send(webhook_test(id, key))

    def webhook_deliveries(self, id: str, limit: int = 50, state: str | None = None) -> list[dict[str, Any]]:
        """The newest messages of a webhook and how the attempts at them went, newest first."""
        return self._send(webhook_deliveries(id, limit, state))

    def redeliver(self, id: str, delivery: str, *, key: str | None = None) -> dict[str, Any]:
        """Have a message sent again, with its id."""
        return self._send(webhook_redelivery(id, delivery, key))

    def delete_webhook(self, id: str) -> None:
        """Delete a webhook and its deliveries."""
        self._send(webhook_deletion(id))
