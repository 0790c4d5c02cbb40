"""Pictures are drawn from titles: the same every time, in the colours named, safe, and cached for long."""

import xml.etree.ElementTree as ET

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.products import Product
from serving.routes.pictures import COLOURS, draw, look_of, pictures_blueprint


def product(title: str | None, product_id: str = "1", category: tuple[str, ...] = ()) -> Product:
    return Product(product_id=ProductId(product_id), title=title, category=category)


@pytest.fixture
def client() -> FlaskClient:
    products = {
        "85123A": product("WHITE HANGING HEART T-LIGHT HOLDER", "85123A"),
        "a/b 1": product("RED MUG", "a/b 1"),
        "photo": Product(product_id=ProductId("photo"), image_url="https://shop.example/photo.jpg"),
        "script": Product(product_id=ProductId("script"), image_url="javascript:alert(1)"),
    }
    app = Flask("serving")
    app.register_blueprint(pictures_blueprint(products.get))
    return app.test_client()


@pytest.mark.parametrize(
    ("title", "shape"),
    [
        ("JUMBO BAG RED RETROSPOT", "tote"),
        ("LUNCH BAG SUKI DESIGN", "lunch-bag"),
        ("REGENCY CAKESTAND 3 TIER", "cakestand"),
        ("WHITE HANGING HEART T-LIGHT HOLDER", "t-light"),
        ("ALARM CLOCK BAKELIKE PINK", "alarm-clock"),
        ("CHOCOLATE HOT WATER BOTTLE", "hot-water-bottle"),
        ("SET OF 3 CAKE TINS PANTRY DESIGN", "tin"),
        ("PARTY BUNTING", "bunting"),
    ],
)
def test_the_words_of_the_title_choose_the_shape(title: str, shape: str) -> None:
    assert look_of(product(title)).shape == shape


def test_a_title_that_says_nothing_leaves_the_shape_to_the_category() -> None:
    assert look_of(product("POTTERING", category=("Kitchen", "Mugs"))).shape == "mug"
    assert look_of(product(None)).shape == "gift"


def test_the_colours_a_title_names_are_used_in_their_order() -> None:
    look = look_of(product("BLUE AND PINK MUG"))
    assert (look.main, look.second) == (COLOURS["blue"], COLOURS["pink"])


def test_spots_and_sets_are_drawn_as_such() -> None:
    look = look_of(product("SET/5 RED RETROSPOT BOWLS"))
    assert (look.pattern, look.copies) == ("dots", 3)
    assert look_of(product("RED MUG")).copies == 1


def test_the_same_product_is_drawn_the_same_and_another_of_its_title_may_differ() -> None:
    assert draw(product("MUG", "1")) == draw(product("MUG", "1"))
    assert len({draw(product("MUG", str(number))) for number in range(50)}) > 5


@given(title=st.text(max_size=60), product_id=st.text(min_size=1, max_size=20))
def test_any_title_gives_well_formed_markup_without_a_tag_of_its_own(title: str, product_id: str) -> None:
    printable = "".join(character for character in title if character.isprintable())
    root = ET.fromstring(draw(product(f'</title><script>"{printable}', product_id)))
    assert root.tag.endswith("svg")
    assert not [node for node in root.iter() if node.tag.endswith("script")]


def test_a_picture_is_an_svg_that_may_be_kept(client: FlaskClient) -> None:
    response = client.get("/store/picture/85123A.svg")
    assert response.status_code == 200
    assert response.mimetype == "image/svg+xml"
    assert response.cache_control.max_age >= 24 * 3600
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_an_id_with_a_slash_has_a_picture(client: FlaskClient) -> None:
    assert client.get("/store/picture/a%2Fb%201.svg").status_code == 200


def test_an_image_of_the_shops_own_is_preferred(client: FlaskClient) -> None:
    response = client.get("/store/picture/photo.svg")
    assert (response.status_code, response.location) == (302, "https://shop.example/photo.jpg")
    assert client.get("/store/picture/script.svg").status_code == 200


def test_an_unknown_product_has_no_picture(client: FlaskClient) -> None:
    assert client.get("/store/picture/none.svg").status_code == 404
