#!/usr/bin/env python3
"""Compares chips in Farad with the same capacitors in ngspice: voltages at the ADC and codes, for three ways to share charge.

    python3 scripts/compare_with_ngspice.py [FARAD]

FARAD is the program (default: farad in the path). Needs ngspice in the path, and nothing else.

`farad spice` writes a chip's columns, its CDAC, and what Farad's engines make of 32 input patterns. ngspice simulates columns and CDAC as
transients; here the voltages are compared, and the CDAC's voltages are searched as a SAR does. Exits with 1 if a voltage is more than
0.05 LSB off, or if a code differs that is not a tie, a voltage within 0.05 LSB of a level.
"""

import concurrent.futures
import csv
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile

TOLERANCE_LSB = 0.05
CHIPS = 3
REAL = ["array.mismatch_pct=2.0", "array.parasitic_ratio=0.3", "array.parasitic_fixed_ff=2.0", "adc.mismatch_pct=1.0", "noise.offset_mv=1.0"]
EXPERIMENTS = {
    "share": ["array.topology=share", "array.rows=32", "array.parasitic_nonlinearity_per_v=0.05", "adc.kind=sar_conventional"],
    "couple": ["array.topology=couple", "array.rows=144", "noise.calibrated=false", "noise.injection_mv=1.0", "adc.kind=sar_split"],
    "couple, row DAC": ["array.topology=couple", "array.rows=64", "input.combine=dac", "input.dac_bits=4", "input.dac_mismatch_pct=1.0",
                        "adc.kind=sar_monotonic"],
    "binary_cap merge": ["array.topology=share", "array.rows=32", "weight.bits=4", "weight.combine=binary_cap",
                         "weight.cap_mismatch_pct=1.0", "weight.switch_parasitic=0.1", "array.parasitic_nonlinearity_per_v=0.05",
                         "adc.kind=sar_monotonic"],
    "binary_cap pair": ["array.topology=couple", "array.rows=32", "weight.bits=4", "weight.combine=binary_cap",
                        "weight.signed=differential", "weight.cap_mismatch_pct=1.0", "adc.kind=sar_monotonic"],
}
BASE = "name = 'column'\n[array]\nrows = 64\ncolumns = 64\n[adc]\nkind = 'ideal'\nbits = 8\n"


def measured(netlist):
    """Values of the `.meas` lines by name. Their numbers are v0, v1, .."""
    run = subprocess.run(["ngspice", "-b", str(netlist)], capture_output=True, text=True)
    values = {int(k): float(v) for k, v in re.findall(r"^v(\d+)\s*=\s*(\S+)", run.stdout, re.MULTILINE)}
    if run.returncode != 0 or not values:
        sys.exit(f"ngspice failed on {netlist}:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
    return values


def search(volts, levels, bits):
    """The code of a binary search: `levels[k]` is the CDAC's voltage for code k."""
    code = 0
    for bit in reversed(range(bits)):
        if volts >= levels[code | 1 << bit]:
            code |= 1 << bit
    return code


def compare(farad, folder, settings, chip):
    """Largest difference in LSB, ties and wrong codes of one chip."""
    macro = folder / "macro.toml"
    macro.write_text(BASE)
    sets = [word for setting in REAL + settings for word in ("--set", setting)]
    out = folder / "spice"
    subprocess.run([farad, "-q", "spice", "--macro", macro, *sets, "--chip", str(chip), "--column", str(8 * chip), "--out", out],
                   check=True, stdout=subprocess.DEVNULL)
    expected = list(csv.DictReader((out / "expected.csv").open()))
    column, levels = measured(out / "column.cir"), measured(out / "cdac.cir")
    bits = (len(levels) + 1).bit_length() - 1
    lsb_v = float(expected[0]["lsb_v"])
    middle = 2 ** (bits - 1) if expected[0]["signed"] == "true" else 0
    worst, ties, wrong, volts_apart = 0.0, 0, 0, set()
    for row in expected:
        volts = column[int(row["pattern"])]
        worst = max(worst, abs(volts - float(row["input_v"])) / lsb_v)
        volts_apart.add(round(volts / lsb_v))
        sampled = volts + (middle + 0.5) * lsb_v
        if min(abs(sampled - level) for level in levels.values()) < TOLERANCE_LSB * lsb_v:
            ties += 1
        elif search(sampled, levels, bits) != int(row["code"]):
            wrong += 1
    # Patterns that all gave the same would agree for nothing.
    assert len(volts_apart) > 10 and math.isfinite(worst), volts_apart
    return len(expected), worst, ties, wrong


def main():
    farad = sys.argv[1] if len(sys.argv) > 1 else "farad"
    cases = [(name, chip) for name in EXPERIMENTS for chip in range(CHIPS)]

    def run(case):
        with tempfile.TemporaryDirectory() as folder:
            return compare(farad, pathlib.Path(folder), EXPERIMENTS[case[0]], case[1])

    failed = False
    print(f"{'topology':18} {'chip':>4} {'patterns':>8} {'worst LSB':>10} {'ties':>5} {'wrong codes':>12}")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for (name, chip), (patterns, worst, ties, wrong) in zip(cases, pool.map(run, cases)):
            print(f"{name:18} {chip:4} {patterns:8} {worst:10.4f} {ties:5} {wrong:12}", flush=True)
            failed |= worst > TOLERANCE_LSB or wrong > 0
    print("differs" if failed else "equal")
    sys.exit(failed)


main()
