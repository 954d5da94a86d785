"""Draw the CPU a message of each client as an SVG of bars."""

from __future__ import annotations

from collections.abc import Mapping

COLOURS = {
    "dulse_orjson": "#15aabf",
    "rabbitmq_c": "#495057",
    "dulse": "#0b7285",
    "kombu": "#e8590c",
    "pika": "#868e96",
    "amqpstorm": "#adb5bd",
    "raw": "#212529",
}
LEFT, WIDTH, BAR, GAP, MOST = 230, 820, 12, 14, 150.0


def drawn(cpu: Mapping[tuple[str, str], float]) -> str:
    """Give the picture; `cpu` is us a message by (shape, library), and bars end at MOST us."""
    parts = ['<text x="10" y="20" font-weight="bold">Client CPU, us a message (less is better)</text>']
    y, last = 30, ""
    for (shape, library), used in cpu.items():
        if shape != last:
            y += GAP
            parts.append(f'<text x="10" y="{y + BAR - 2}">{shape}</text>')
            last = shape
        width = min(used, MOST) / MOST * (WIDTH - LEFT - 110)
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}" fill="{COLOURS[library]}"/>')
        parts.append(
            f'<text x="{LEFT + width + 5:.1f}" y="{y + BAR - 3}">{library.replace("_", " ")} {used:.1f}</text>'
        )
        y += BAR
    size = f'width="{WIDTH}" height="{y + 10}" viewBox="0 0 {WIDTH} {y + 10}"'
    style = 'font-family="sans-serif" font-size="11"'
    background = '<rect width="100%" height="100%" fill="white"/>'
    body = "\n".join([background, *parts])
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{body}\n</svg>\n'
