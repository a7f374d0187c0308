"""The chat page in a real browser."""

from pathlib import Path
from typing import Any

import pytest

from tests.journeys.browser import PROGRAM, open_page

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium on this machine")

LOG = "document.querySelector('#log').textContent"
HOSTILE = "<img src=x onerror=document.title='broken'>"


async def test_a_person_chats_as_owner_and_as_a_member_of_a_room(
    world: Any, tmp_path: Path
) -> None:
    await world.start()
    async with open_page(tmp_path / "profile", world.hub.chat_url) as page:
        await page.until("!document.querySelector('#send').disabled")
        await page.js("document.querySelector('#text').focus()")
        await page.type("say good day")
        await page.until("document.querySelector('#log').textContent.includes('seen')")
        await page.until(
            "document.querySelector('#log').textContent.match(/good day/g).length >= 2"
        )
        await page.js("[...document.querySelectorAll('#places button')][1].click()")
        await page.js("document.querySelector('#text').focus()")
        await page.type(f"say {HOSTILE}")
        await page.until(f"{LOG}.split('onerror').length >= 3")
        assert await page.js("document.title") != "broken"
        assert await page.js("document.querySelectorAll('#log img').length") == 0
        await page.picture(tmp_path / "page.png")
        assert page.errors == []
    texts = [sent.text for sent in world.hub.sent]
    assert texts == ["good day", HOSTILE]
