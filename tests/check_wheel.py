"""``make check``: the wheel ships one top-level package, with its data, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

NEEDED = (
    "fer_opt/device/phone/canary.tflite",
    "fer_opt/device/phone/profiles/galaxy-j3.toml",
    "fer_opt/device/phone/scripts/guard.sh",
    "fer_opt/device/virtual/profiles/galaxy-j3.toml",
    "fer_opt/py.typed",
    "fer_opt/reports/thesis/table_5.json",
    "fer_opt/reports/templates/report.html.j2",
    "fer_opt/stages/gallery/templates/gallery.css",
    "fer_opt/stages/gallery/templates/gallery.html.j2",
    "fer_opt/stages/gallery/templates/gallery.js",
)


def main() -> int:
    """Build the wheel and look into it; 1 when something is amiss."""
    root = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder]
        built = subprocess.run([*command, str(root)], capture_output=True, text=True, check=False)
        if built.returncode:
            print(built.stdout + built.stderr, file=sys.stderr)
            return 1
        (wheel,) = Path(folder).glob("*.whl")
        names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    missing = [name for name in NEEDED if name not in names]
    if top != {"fer_opt"} or missing:
        print(f"the wheel holds {sorted(top)} and lacks {missing}", file=sys.stderr)
        return 1
    print(f"wheel: {len(names)} files, one package")
    return 0


if __name__ == "__main__":
    sys.exit(main())
