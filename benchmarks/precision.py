"""bf16 beside fp32 where it matters: accuracy over seeds, digits and scenes, the same seeds in both.

Usage: python -m benchmarks.precision digits|scenes [--seeds 1 2 3 4 5]
"""

import argparse
from typing import Any

from benchmarks.common import over_seeds, summary, write_result

METRIC = {"digits": "accuracy", "scenes": "miou"}
PRECISIONS = ("fp32", "bf16")


def main(arguments: argparse.Namespace) -> dict[str, Any]:
    params, metric = arguments.params, METRIC[arguments.params]
    split = {"scenes": True, "digits": False}[params]
    found = {}
    for precision in PRECISIONS:
        variants = [
            {"seed": seed, "precision": precision, **({"split": seed} if split else {})} for seed in arguments.seeds
        ]
        found[precision] = over_seeds(params, variants, [], metric)
    rows = {p: [{k: v for k, v in row.items() if k != "seconds"} for row in found[p]["per_seed"]] for p in PRECISIONS}
    methods = list(found["fp32"][metric])
    differences = {
        name: [round(b[name] - a[name], 2) for a, b in zip(rows["fp32"], rows["bf16"], strict=True)] for name in methods
    }
    results = {
        "metric": metric,
        "precision": {precision: {"per_seed": rows[precision], metric: found[precision][metric]} for precision in rows},
        "bf16_minus_fp32": {name: {"per_seed": values, **summary(values)} for name, values in differences.items()},
    }
    print(results)
    write_result(f"precision_{params}", results)
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("params", choices=list(METRIC))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    main(parser.parse_args())
