"""What `mesh-imsgd --check` looks at, from the file up to the permission to send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from common.config import BridgeConfig
from common.errors import EXIT_FAILED, EXIT_OK
from common.wire.messages import BridgeProblem
from imsgd.chatdb import problems
from imsgd.chatdb.database import ChatDatabase
from imsgd.domain.handles import AllowList, is_address
from imsgd.domain.outcome import NOT_AUTHORISED
from imsgd.domain.own import missing_own_handles
from imsgd.domain.rows import to_apple_ns
from imsgd.domain.unheard import unheard
from imsgd.errors import ChatDbBusyError, ChatDbError
from imsgd.osascript import COUNT_ACCOUNTS, Osascript
from imsgd.sender import OSASCRIPT_PROBLEM, automation_denied

OSASCRIPT_S = 10.0
UNHEARD_S = 24 * 3600.0
UNHEARD_ROWS = 1000
"""What is looked through for texts of an allowed person that were not heard."""
ALLOW_PROBLEM = "allow_list"


async def check_all(
    config: BridgeConfig, *, env: Mapping[str, str], out: TextIO, now: float
) -> int:
    """Print one line of JSON per problem, and one that sums up; the exit code says the same."""
    found = [*check_handles(config), *await asyncio.to_thread(check_chat_db, config, now)]
    found += await check_osascript(config, env)
    for problem in found:
        line = {"problem": problem.id, "text": problem.text, "remedy": problem.remedy}
        out.write(json.dumps(line, ensure_ascii=False) + "\n")
    out.write(json.dumps({"ok": not found, "problems": len(found)}) + "\n")
    return EXIT_FAILED if found else EXIT_OK


def check_handles(config: BridgeConfig) -> list[BridgeProblem]:
    handles = [*config.allow, *config.self_handles]
    bad = [handle for handle in handles if not is_address(handle)]
    if handles and not bad:
        return []
    text = f"Not an address: {', '.join(bad)}." if bad else "Nobody may command the mesh."
    remedy = "Put mail addresses or numbers with country code into bridge.allow."
    return [BridgeProblem(id=ALLOW_PROBLEM, text=text, remedy=remedy)]


def check_chat_db(config: BridgeConfig, now: float) -> list[BridgeProblem]:
    path = Path(config.chat_db).expanduser()
    try:
        database = ChatDatabase.open(path)
    except ChatDbError as error:
        return [error.problem]
    except ChatDbBusyError:
        return []
    try:
        if database.max_rowid() == 0:
            return [problems.empty(path)]
        allow = AllowList.of(own=config.self_handles, others=config.allow)
        recent = database.dated(to_apple_ns(now - UNHEARD_S), limit=UNHEARD_ROWS)
        return [
            *missing_own_handles(allow, database.own_accounts()),
            *unheard(recent, allow, now=now),
        ]
    except ChatDbError as error:
        return [error.problem]
    finally:
        database.close()


async def check_osascript(config: BridgeConfig, env: Mapping[str, str]) -> list[BridgeProblem]:
    osascript = Osascript(config.osascript, OSASCRIPT_S, env)
    result = await osascript.run(COUNT_ACCOUNTS)
    if result.status == 0 and not result.timed_out:
        return []
    if result.error_number == NOT_AUTHORISED:
        return [automation_denied()]
    if result.timed_out:
        text = "Messages did not answer; macOS may be asking for permission to control it."
        remedy = "Look at the Mac's screen and allow it."
    else:
        text = f"Messages cannot be controlled: {result.stderr.strip()[-200:]}"
        remedy = "Check bridge.osascript, open Messages and sign in."
    return [BridgeProblem(id=OSASCRIPT_PROBLEM, text=text, remedy=remedy)]
