"""`/v1/products`: the catalogue over HTTP; a change is seen by the next answer."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response

from ingest.collector import Incoming, Outcome, refusal
from ingest.dialects.native import UNREADABLE
from ingest.dialects.product_fields import parse_product
from ingest.vocabulary.clock import epoch_ms
from ingest.vocabulary.errors import MalformedEvent, NotFound, OversizedInput
from ingest.vocabulary.events import CatalogueEvent, PriceChanged, ProductDeleted, ProductUpserted, StockChanged
from ingest.vocabulary.ids import EventId, ProductId, new_request_id, parse_product_id
from ingest.vocabulary.products import Product
from serving.engine import Engine
from serving.routes.guard import answer, authorize, body

PRODUCTS_MAX = 1_000  # in one batch
_PRICE_FIELDS = frozenset({"price", "sale_price", "currency"})
_STOCK_FIELDS = frozenset({"availability", "stock"})


class _Batch(msgspec.Struct):
    products: list[dict[str, Any]]


def products_blueprint(engine: Engine) -> Blueprint:
    """The routes that state products; for secret keys only."""
    blueprint = Blueprint("products", __name__)

    @blueprint.get("/v1/products/<product_id>")
    def show(product_id: str) -> Response:
        authorize(engine.keys, secret_only=True)
        return answer(product_as_json(_known(engine, parse_product_id(product_id))))

    @blueprint.put("/v1/products/<product_id>")
    def put(product_id: str) -> Response:
        authorize(engine.keys, secret_only=True)
        product = parse_product({**_object(body()), "product_id": product_id})
        _append(engine, [ProductUpserted(**_envelope(engine), product_id=product.product_id, product=product)])
        return answer(product_as_json(product))

    @blueprint.patch("/v1/products/<product_id>")
    def patch(product_id: str) -> Response:
        authorize(engine.keys, secret_only=True)
        known = _known(engine, parse_product_id(product_id))
        changes = _object(body())
        product = parse_product({**product_as_json(known), **changes, "product_id": product_id})
        fact: CatalogueEvent
        if changes.keys() <= _PRICE_FIELDS:
            fact = PriceChanged(
                **_envelope(engine),
                product_id=known.product_id,
                price=product.price,
                sale_price=product.sale_price,
                currency=product.currency,
            )
        elif changes.keys() <= _STOCK_FIELDS and changes.get("stock", 0) is not None:
            fact = StockChanged(
                **_envelope(engine),
                product_id=known.product_id,
                availability=product.availability,
                stock=product.stock,
            )
        else:
            fact = ProductUpserted(**_envelope(engine), product_id=known.product_id, product=product)
        _append(engine, [fact])
        return answer(product_as_json(product))

    @blueprint.delete("/v1/products/<product_id>")
    def delete(product_id: str) -> Response:
        authorize(engine.keys, secret_only=True)
        known = _known(engine, parse_product_id(product_id))
        _append(engine, [ProductDeleted(**_envelope(engine), product_id=known.product_id)])
        return Response(status=204)

    @blueprint.post("/v1/products")
    def batch() -> Response:
        authorize(engine.keys, secret_only=True)
        return answer({"results": _take_in(engine, body())})

    return blueprint


def _take_in(engine: Engine, raw: bytes) -> list[dict[str, Any]]:
    """A batch of products, each answered on its own."""
    try:
        stated = msgspec.json.decode(raw, type=_Batch).products
    except UNREADABLE as error:
        raise MalformedEvent(f'the body must be {{"products": […]}}: {error}', code="malformed_batch") from error
    if len(stated) > PRODUCTS_MAX:
        raise OversizedInput(f"a batch has at most {PRODUCTS_MAX} products, got {len(stated)}", pointer="/products")
    results: list[dict[str, Any]] = []
    facts: list[CatalogueEvent] = []
    for index, each in enumerate(stated):
        name = each.get("product_id")
        try:
            product = parse_product(each)
        except MalformedEvent as error:
            error.pointer = f"/products/{index}{error.pointer or ''}"
            told = msgspec.to_builtins(refusal(None, error))
            results.append({"product_id": name if isinstance(name, str) else None, **told})
            results[-1].pop("event_id", None)
            continue
        facts.append(ProductUpserted(**_envelope(engine), product_id=product.product_id, product=product))
        results.append({"product_id": product.product_id, "status": "accepted"})
    _append(engine, facts)
    return results


def _append(engine: Engine, facts: list[CatalogueEvent]) -> list[Outcome]:
    return engine.collector.collect([Incoming(fact) for fact in facts])


def _known(engine: Engine, product_id: ProductId) -> Product:
    product = engine.catalogue.stated(product_id)
    if product is None:
        raise NotFound(f"there is no product {product_id!r}")
    return product


def _envelope(engine: Engine) -> dict[str, Any]:
    now = engine.clock.now()
    return {"event_id": EventId(new_request_id(epoch_ms(now))), "occurred_at": now, "received_at": now}


def _object(raw: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except UNREADABLE as error:
        raise MalformedEvent(f"the body must be a JSON object: {error}") from error


def product_as_json(product: Product) -> dict[str, Any]:
    """A product as it goes over the wire: every field, money as a decimal string."""
    stated: dict[str, Any] = msgspec.to_builtins(product)
    return {name: stated.get(name, _absent(name, product)) for name in product.__struct_fields__}


def _absent(name: str, product: Product) -> Any:
    value = getattr(product, name)
    return list(value) if isinstance(value, tuple) else value
