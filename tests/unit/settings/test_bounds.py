"""Every number that a user can write has a smallest and a largest value."""

import ast
import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from mmsrec.errors import ParamsError
from mmsrec.models.registry import MODELS
from mmsrec.settings.params import parse_params, read_params, schema
from mmsrec.training.encoder_folder import PretrainedConfig

ROOT = Path(__file__).parents[3]
SCRIPTS = [*sorted((ROOT / "workflow/scripts").glob("*.py")), *sorted((ROOT / "mmsrec").rglob("__main__.py"))]
# The functions that read a number from a flag; each has both bounds.
BOUNDED = {
    f"{prefix}{name}"
    for prefix in ("stage.", "")
    for name in ("positive", "natural", "seed", "port", "connections", "minutes")
}
OTHER = {"Path"}
LOWER, UPPER = {"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}


def unbounded(node, place=""):
    """The places of numbers in a JSON schema that lack a bound."""
    if isinstance(node, list):
        return [found for number, part in enumerate(node) for found in unbounded(part, f"{place}.{number}")]
    if not isinstance(node, dict):
        return []
    own = node.get("type") in ("integer", "number") and not (node.keys() & LOWER and node.keys() & UPPER)
    rest = [found for key, part in node.items() if key != "default" for found in unbounded(part, f"{place}.{key}")]
    return [place, *rest] if own else rest


def test_every_number_of_the_settings_has_both_bounds():
    schemas = {"params": schema(), "pretrained": TypeAdapter(PretrainedConfig).json_schema()}
    schemas |= {name: TypeAdapter(model.settings).json_schema() for name, model in MODELS.items()}
    assert {name: found for name, part in schemas.items() if (found := unbounded(part))} == {}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_number_of_a_command_line_has_both_bounds(script):
    calls = [node for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.Call)]
    types = {
        ast.unparse(word.value)
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"
        for word in call.keywords
        if word.arg == "type"
    }
    assert types <= BOUNDED | OTHER


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("trainer.batch_size", 99999999999999999999),
        ("trainer.batch_size", 0),
        ("trainer.max_length", 1),
        ("trainer.learning_rate", 0.0),
        ("trainer.weight_decay", -0.1),
        ("frames.quality", 101),
        ("frames.count", 0),
        ("crawl.total_timeout", 1e9),
        ("pretraining.hidden_dropout", 1.0),
        ("pretraining.heads", 7),
        ("pretraining.dim", -64),
        ("evaluation.top", 2**40),
        ("splits.shuffle.seed", -1),
        ("splits.shuffle.seed", 2**64),
        ("domains.beauty.k_core", 0),
        ("models.mmsrec.settings.temperature", -0.1),
    ],
)
def test_a_number_out_of_its_range_is_refused_by_its_key(key, value):
    raw = json.loads(read_params(ROOT / "params.yaml").model_dump_json(exclude_unset=True))
    *above, last = key.split(".")
    part = raw
    for name in above:
        part = part.setdefault(name, {})
    part[last] = value
    with pytest.raises(ParamsError) as caught:
        parse_params(raw)
    assert above[0] in str(caught.value)
