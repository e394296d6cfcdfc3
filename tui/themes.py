"""Our own dark and light themes, and the same roles on a terminal's own sixteen colours.

Each role stands at least 4.5:1 against its background, and no two states differ by red and
green alone: ok is a bluish green, bad a reddish pink, running blue, a question violet.
"""

from __future__ import annotations

from textual.theme import Theme

_DARK = {
    "role-plain": "#d3dae3",
    "role-strong": "#f2f5f9",
    "role-muted": "#94a1b2",
    "role-faint": "#76849a",
    "role-accent": "#7cc4ff",
    "role-ok": "#5fd0b0",
    "role-run": "#6db8ff",
    "role-wait": "#b9c2cf",
    "role-ask": "#cba6ff",
    "role-warn": "#f0b95a",
    "role-bad": "#ff8a94",
    "line-cursor": "#22354a",
    "line-cursor-blurred": "#1a222d",
    "frame": "#34404f",
    "frame-focus": "#7cc4ff",
    "block-cursor-text-style": "none",
    "footer-key-foreground": "#7cc4ff",
    "input-selection-background": "#7cc4ff 35%",
}
_LIGHT = {
    "role-plain": "#22303c",
    "role-strong": "#0d1720",
    "role-muted": "#56646f",
    "role-faint": "#66737e",
    "role-accent": "#0a5fb0",
    "role-ok": "#08705a",
    "role-run": "#0a5fb0",
    "role-wait": "#48555f",
    "role-ask": "#7533b8",
    "role-warn": "#8a5200",
    "role-bad": "#b3203a",
    "line-cursor": "#d3e5f7",
    "line-cursor-blurred": "#ebeff2",
    "frame": "#c3ccd4",
    "frame-focus": "#0a5fb0",
    "block-cursor-text-style": "none",
    "footer-key-foreground": "#0a5fb0",
    "input-selection-background": "#0a5fb0 30%",
}
ANSI_ROLES = {
    "role-plain": "ansi_default",
    "role-strong": "ansi_default",
    "role-muted": "ansi_default",
    "role-faint": "ansi_default",
    "role-accent": "ansi_blue",
    "role-ok": "ansi_green",
    "role-run": "ansi_blue",
    "role-wait": "ansi_default",
    "role-ask": "ansi_magenta",
    "role-warn": "ansi_yellow",
    "role-bad": "ansi_red",
    "line-cursor": "ansi_default",
    "line-cursor-blurred": "ansi_default",
    "frame": "ansi_default",
    "frame-focus": "ansi_blue",
}

DARK = Theme(
    name="mesh-dark",
    dark=True,
    primary="#7cc4ff",
    secondary="#5b8fc0",
    accent="#cba6ff",
    success="#5fd0b0",
    warning="#f0b95a",
    error="#ff8a94",
    foreground="#d3dae3",
    background="#0e1319",
    surface="#141b23",
    panel="#1b242f",
    variables=_DARK,
)
LIGHT = Theme(
    name="mesh-light",
    dark=False,
    primary="#0a5fb0",
    secondary="#3f6f9c",
    accent="#7533b8",
    success="#08705a",
    warning="#8a5200",
    error="#b3203a",
    foreground="#22303c",
    background="#fbfbf9",
    surface="#f3f5f6",
    panel="#e8ecef",
    variables=_LIGHT,
)
OWN = {theme.name: theme for theme in (DARK, LIGHT)}


def other(name: str) -> str:
    """The theme that `light/dark` changes to."""
    pairs = {
        "mesh-dark": "mesh-light",
        "mesh-light": "mesh-dark",
        "ansi-dark": "ansi-light",
        "ansi-light": "ansi-dark",
    }
    return pairs.get(name, "mesh-dark")
