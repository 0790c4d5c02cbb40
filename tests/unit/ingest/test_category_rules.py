"""Categories from titles: the first rule wins, words are whole, and a bad file is named with its rule."""

import re
from pathlib import Path

import pytest

from ingest.dialects.category_rules import CategoryRules, load_category_rules, parse_category_rules
from ingest.vocabulary.errors import ConfigurationError

EXAMPLE = Path(__file__).parents[3] / "examples" / "online-retail" / "categories.toml"


def rules(*categories: tuple[str, list[str]]) -> CategoryRules:
    tables = [{"path": path.split(" > "), "words": words} for path, words in categories]
    return parse_category_rules({"fallback": ["Other"], "category": tables})


def test_the_first_rule_in_the_file_wins_wherever_its_word_stands() -> None:
    both = rules(("Kitchen > Mugs", ["mug"]), ("Christmas", ["christmas"]))
    assert both.category_of("CHRISTMAS MUG") == ("Kitchen", "Mugs")
    assert both.category_of("mug for christmas") == ("Kitchen", "Mugs")
    assert both.category_of("Christmas tree") == ("Christmas",)


def test_a_phrase_of_a_later_rule_does_not_hide_a_word_inside_it() -> None:
    both = rules(("First", ["water bottle"]), ("Second", ["hot water"]))
    assert both.category_of("hot water bottle") == ("First",)


def test_a_title_without_any_of_the_words_gets_the_fallback() -> None:
    assert rules(("Mugs", ["mug"])).category_of("") == ("Other",)
    assert rules(("Mugs", ["mug"])).category_of("smuggler's mugwort") == ("Other",)


@pytest.mark.parametrize(
    ("word", "title"),
    [
        ("mug", "TWO MUGS"),
        ("box", "SNACK BOXES SET OF4"),
        ("candy", "CANDIES"),
        ("t-light", "SET/6 T-LIGHTS"),
        ("t light", "T-LIGHT"),
        ("cup and saucer", "TEA CUP  AND\tSAUCER,"),
        ("children's mug", "CHILDRENS MUG"),
        ("childrens mug", "Children’s mug"),
        ("café", "CAFÉ SIGN"),
        ("c++", "A C++ book"),
    ],
)
def test_words_match_in_any_case_number_and_punctuation(word: str, title: str) -> None:
    assert rules(("Found", [word])).category_of(title) == ("Found",)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("category = 7", "[[category]]"),
        ('fallback = ["x"]', "[[category]]"),
        ('fallback = ["x"]\nfalback = 1', "falback"),
        ('[[category]]\npath = ["a"]\nwords = ["b"]', "fallback"),
        ('fallback = ["x"]\n[[category]]\npath = ["a"]', "category 1"),
        ('fallback = ["x"]\n[[category]]\npath = ["a"]\nwords = []', "words"),
        (
            'fallback = ["x"]\n[[category]]\npath = ["a"]\nwords = ["b"]\n[[category]]\npath = "c"\nwords = ["d"]',
            "category 2",
        ),
        ('fallback = ["x"]\n[[category]]\npath = ["a"]\nwords = ["-"]', "letter"),
        ("fallback = [", "cannot read"),
    ],
)
def test_a_file_that_is_not_rules_is_refused_with_its_name(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "categories.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=re.escape(complaint)) as refusal:
        load_category_rules(file)
    assert str(file) in refusal.value.message


def test_a_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        load_category_rules(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("title", "path"),
    [
        ("WHITE HANGING HEART T-LIGHT HOLDER", ("Candles & Lights", "T-Light Holders")),
        ("JUMBO BAG RED RETROSPOT", ("Bags & Travel", "Shopping Bags")),
        ("LUNCH BAG  BLACK SKULL.", ("Bags & Travel", "Lunch & Picnic")),
        ("CHOCOLATE HOT WATER BOTTLE", ("Home", "Hot Water Bottles")),
        ("PACK OF 72 RETROSPOT CAKE CASES", ("Party", "Cake Cases & Doilies")),
        ("CARD BIRTHDAY COWBOY", ("Stationery & Craft", "Greeting Cards")),
        ("TRAVEL CARD WALLET PANTRY", ("Bags & Travel", "Travel & Luggage")),
        ("RUBY DROP CHANDELIER EARRINGS", ("Jewellery & Accessories", "Jewellery")),
        ("FOLKART ZINC HEART CHRISTMAS DEC", ("Seasons", "Christmas")),
    ],
)
def test_the_example_shop_has_its_goods_on_the_right_shelves(title: str, path: tuple[str, ...]) -> None:
    assert load_category_rules(EXAMPLE).category_of(title) == path
