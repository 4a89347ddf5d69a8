"""A real Chromium, Debian's own, and pages in it that may not complain."""

import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, async_playwright

VARIABLE: Final = "ROUTER_TEST_CHROMIUM"
TIMEOUT_MS: Final = 10_000
TELL_VIOLATIONS: Final = """
document.addEventListener('securitypolicyviolation', (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


def chromium_path() -> str:
    """The browser that the variable names, else the one on the PATH. The test is skipped where there is none."""
    named = os.environ.get(VARIABLE)
    if named:
        assert Path(named).is_file(), f"{VARIABLE} names no file: {named}"
        return named
    found = shutil.which("chromium")
    if found is None:
        pytest.skip(f"there is no Chromium: apt-get install chromium, or name one in {VARIABLE}")
    return found


@dataclass
class Device:
    """One browser context of a user: cookies, cache and storage of its own. What its pages complain of fails the test."""

    context: BrowserContext
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """Patterns of complaints that the test brings about."""

    async def page(self) -> Page:
        """An empty page."""
        page = await self.context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("dialog", self._asked)
        return page

    def check(self) -> None:
        """Fails if a page has complained of anything that it was not expected to."""
        assert [each for each in self.complaints if not any(re.search(it, each) for it in self.expected)] == []

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.complaints.append(f"{message.type}: {message.text} {message.location.get('url', '')}")

    async def _asked(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        await dialog.dismiss()


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """One browser, headless."""
    args = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path(), args=args)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def device(browser: Browser) -> AsyncIterator[Device]:
    """A device, for the time of the block; then nothing may have been complained of."""
    context = await browser.new_context(locale="en-GB")
    await context.add_init_script(TELL_VIOLATIONS)
    try:
        opened = Device(context)
        yield opened
        opened.check()
    finally:
        await context.close()
