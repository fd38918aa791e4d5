from __future__ import annotations

import inspect
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_opt.convert import file_stem
from fer_opt.errors import RecipeError
from fer_opt.recipe import (
    SHELF,
    STANDARD_RECIPES,
    STEPS,
    Choice,
    Number,
    Step,
    make_recipe,
    make_step,
    parse_recipe,
)

FORMATS = [name for name, kind in STEPS.items() if kind.role == "format"]


def _values(option) -> st.SearchStrategy:
    if isinstance(option, Choice):
        return st.sampled_from(option.values)
    if isinstance(option, Number):
        low = option.low if option.low is not None else option.above
        high = option.high if option.high is not None else option.below
        if option.whole:
            return st.integers(int(low or 0), int(high or 300))
        return st.floats(
            low or 0,
            1 if high is None else high,
            exclude_min=option.above is not None,
            exclude_max=option.below is not None,
        )
    return st.text(string.printable, max_size=12)


@st.composite
def _steps(draw, names) -> Step:
    name = draw(st.sampled_from(names))
    options = {key: _values(option) for key, option in STEPS[name].options.items()}
    return make_step(name, **draw(st.fixed_dictionaries({}, optional=options)))


@given(
    st.lists(_steps([name for name in STEPS if name not in FORMATS]), max_size=4), _steps(FORMATS)
)
def test_a_recipe_reads_back_what_it_writes(steps, last):
    try:
        recipe = make_recipe([*steps, last])
    except RecipeError:
        return  # an order that makes no sense
    again = parse_recipe(str(recipe))
    assert str(again) == str(recipe)
    for before, after in zip(recipe.steps, again.steps, strict=True):
        if not before.keywords.get("rank"):  # a rank stands for the energy
            assert after == before
    assert file_stem(recipe).replace("_", "").isalnum()
    assert recipe.title


@given(st.text(max_size=30))
def test_nonsense_is_refused_in_a_sentence(text):
    try:
        recipe = parse_recipe(text)
    except RecipeError:
        return
    assert recipe.steps[0].name in STEPS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("int7", "did you mean int8"),
        ("int8(oi=float)", "known: io"),
        ("int8(io=bytes)", "integer or float"),
        ("float32(io=float)", "has no option 'io'; known: input"),
        ("fold(io=float)", "it takes none"),
        ("float32 > int8", "a file has one"),
        ("int8 > fine_tune(2)", "number format comes last"),
        ("int8(", "cannot be read"),
        ("", "cannot be read"),
        ("prune_channels(1.5)", "above 0 and below 1, not 1.5"),
        ("prune_channels(0.5, 0.5)", "write the others as option=value"),
        ("prune_channels(0.5, share=0.5)", "twice"),
        ("cluster(2.5)", "a whole number"),
        ("fine_tune(0)", "at least 1"),
        ("cluster(True)", "not True"),
        ("fine_tune(1e999)", "a whole number at least 1, not inf"),
        ("fine_tune(1, temperature=1e999)", "at most 100, not inf"),
        ("int8(3)", "takes no value without a name"),
        ("prune_magnitude(0.5) > low_rank(0.9)", "put low_rank first"),
        ("cluster(16) > prune_magnitude(0.5)", "put cluster after it"),
        (
            "cluster(16) > prune_magnitude(0.5, epochs=0)",
            "makes zeros of weights that cluster gave",
        ),
        ("prune_magnitude(0.8) > prune_magnitude(0.3)", "0.3 are fewer than the 0.8 there were"),
        ("prune_magnitude > fine_tune > prune_magnitude(0.4)", "leave it out"),
        ("cluster(16) > cluster(32)", "of the 16 values there are it cannot make 32"),
        ("prune_2_4 > prune_channels(0.5)", "put prune_channels first"),
        ("prune_2_4 > prune_magnitude(0.5)", "choose one of the two"),
        ("quantize_aware > fine_tune(2) > int8", "put fine_tune before quantize_aware"),
        ("quantize_aware > float16", "end the recipe with int8"),
        ("quantize_aware > quantize_aware(3) > int8", "leave the second out"),
        ("half > fine_tune(2) > int8", "half is a whole recipe of the shelf .*'prune_channels"),
        ("__import__('os').system('true')", "cannot be read"),
    ],
)
def test_wrong_recipes_say_what_is_wrong(text, message):
    with pytest.raises(RecipeError, match=message):
        parse_recipe(text)


@pytest.mark.parametrize(
    "text",
    [
        "prune_2_4 > fold > int8",
        "prune_magnitude(0.3) > prune_magnitude(0.8) > int8",
        "prune_magnitude(0.5) > prune_magnitude(0.5) > int8",
        "cluster(32) > cluster(16) > int8",
    ],
)
def test_orders_that_build_on_each_other_are_taken(text):
    assert parse_recipe(text).format.name == "int8"


def test_a_recipe_without_a_number_format_gets_one():
    assert str(parse_recipe("prune_channels(0.5)")) == "prune_channels(0.5) > float32"
    assert str(parse_recipe("quantize_aware")) == "quantize_aware(2) > int8"


def test_text_and_python_say_the_same():
    made = make_recipe(
        [
            make_step("prune_channels", 0.25, importance="taylor"),
            make_step("fine_tune"),
            make_step("int8"),
        ]
    )
    assert made == parse_recipe("prune_channels(0.25, importance=taylor) > fine_tune > int8")
    assert str(made) == "prune_channels(0.25, importance=taylor) > fine_tune(3) > int8"


def test_recipes_know_what_they_want():
    assert not parse_recipe("prune_channels(0.5) > float32").needs_data
    assert parse_recipe("prune_channels(0.5, importance=taylor)").needs_data
    assert parse_recipe("int8").needs_data
    assert not parse_recipe("int8").trains
    assert parse_recipe("prune_magnitude(0.5)").trains
    assert not parse_recipe("prune_magnitude(0.5, epochs=0)").trains


def test_every_recipe_on_the_shelf_stands_under_its_name():
    for item in SHELF:
        assert str(parse_recipe(item.name)) == item.text
        assert item.name not in STEPS
    assert [str(parse_recipe(name)) for name in STANDARD_RECIPES] == list(STANDARD_RECIPES)


def test_every_step_takes_the_options_its_text_promises():
    from fer_opt.compress.steps import STEP_FUNCTIONS

    assert set(STEP_FUNCTIONS) == set(STEPS) - set(FORMATS)
    for name, function in STEP_FUNCTIONS.items():
        network, materials, *options = inspect.signature(function).parameters.values()
        assert (network.name, materials.name) == ("network", "materials")
        assert {item.name: item.default for item in options} == {
            key: option.default for key, option in STEPS[name].options.items()
        }


def test_every_recipe_has_a_file_name_of_its_own():
    recipes = [
        'prune_channels(0.5, layers="conv_1*:0") > int8',
        'prune_channels(0.5, layers="conv_1:0") > int8',
        'prune_channels(0.5, layers="Conv_1:0") > int8',
        f'prune_channels(0.5, layers="{"a" * 300}:0") > int8',
        f'prune_channels(0.5, layers="{"a" * 301}:0") > int8',
        " > ".join(["fine_tune(2)"] * 30 + ["int8"]),
        " > ".join(["fine_tune(2)"] * 31 + ["int8"]),
        *(item.text for item in SHELF),
    ]
    stems = [file_stem(parse_recipe(text)) for text in recipes]
    assert len({stem.lower() for stem in stems}) == len(recipes)
    assert max(map(len, stems)) <= 120


def test_file_names_of_plain_recipes_say_all_of_them():
    assert file_stem(parse_recipe("quick")) == "int8"
    assert file_stem(parse_recipe("int8(io=float)")) == "int8_io_float"
    assert file_stem(parse_recipe("quarter")) == (
        "prune_channels_0_5_fine_tune_3_distill_0_5_prune_channels_0_5_fine_tune_6_distill_0_5_"
        "quantize_aware_2_int8"
    )


def test_recipes_know_when_others_must_judge_them():
    assert parse_recipe("fine_tune(1)").learns
    assert parse_recipe("prune_channels(0.5, importance=taylor)").learns
    assert parse_recipe("prune_channels(0.5, allocation=sensitivity)").learns
    assert not parse_recipe("prune_channels(0.5) > int8").learns
