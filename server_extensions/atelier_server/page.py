"""The one page that is shown instead of an answer: what is wrong and what to do. It needs nothing but itself."""

from __future__ import annotations

from html import escape

_PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="10">
<title>Atelier</title>
<style>
:root {{ color-scheme: light dark; --back: #fff; --text: #212121; --quiet: #5c5c5c; --line: #e0e0e0; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --back: #111; --text: #ececec; --quiet: #ababab; --line: #3a3a3a; }}
}}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--back);
  color: var(--text); font: 16px/1.5 system-ui, sans-serif; }}
main {{ max-width: 34rem; margin: 2rem; padding: 2rem; border: 1px solid var(--line); border-radius: 4px; }}
h1 {{ margin: 0 0 .75rem; font-size: 1.25rem; }}
p {{ margin: 0 0 .75rem; }}
p.hint {{ color: var(--quiet); margin: 0; }}
</style>
</head>
<body>
<main role="alert">
<h1>Atelier</h1>
<p>{message}</p>
<p class="hint">{hint} {again}</p>
</main>
</body>
</html>
"""


_AGAIN = {"en": "This page tries again every ten seconds.", "zh-CN": "此页面每十秒重试一次。"}
# Nothing of ours in the browser could translate this one, for it comes instead of Lab.
_AWAY = (
    "控制平面没有响应；正在运行的内容会继续运行。",
    "它可能正在重启。在其机器上运行 `atelier status` 可了解更多。",
)


def away_page(message: str, hint: str, *, code: str = "", languages: str = "") -> str:
    """The page with these two sentences; that the platform is away is said in the browser's language."""
    language = "zh-CN" if languages.lower().startswith("zh") else "en"
    if language != "en" and code == "control_plane_away":
        message, hint = _AWAY
    return _PAGE.format(message=escape(message), hint=escape(hint), again=_AGAIN[language], language=language)
