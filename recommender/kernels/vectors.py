"""What numba has no words for: prefetching, comparing 64 counters at once, the bits of a float. Any processor has them.

numba's own vectoriser unrolls short loops into scalar code before it looks at them, and may not put a sum into another
order; `above` and `inner` say vector outright.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic as numba_intrinsic

LANES = 64  # counters that `above` compares at once
FLOATS = 16  # products that `inner` adds at once

_BYTE, _INT32, _INT64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_READ, _KEEP, _DATA = (ir.Constant(_INT32, value) for value in (0, 3, 1))


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Something kernels call with one argument less: the first is numba's typing."""
    return cast(Callable[..., Any], numba_intrinsic(function))


@intrinsic
def prefetch(_typing: Any, array: Any, at: Any) -> Any:
    """Ask for the cache line of `array[at]`; any `at` is allowed, nothing is read."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.bitcast(_address(context, builder, signature, arguments), _BYTE.as_pointer())
        function = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), _INT32, _INT32, _INT32])
        name = "llvm.prefetch.p0"
        called = cgutils.get_or_insert_function(builder.module, function, name)  # type: ignore[no-untyped-call]
        builder.call(called, [pointer, _READ, _KEEP, _DATA])
        return context.get_dummy_value()

    return types.void(array, at), generate


@intrinsic
def above(_typing: Any, array: Any, at: Any, limit: Any) -> Any:
    """Which of `array[at : at + LANES]` are greater than `limit`, as bits; all of them must be within the array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        element = context.get_value_type(array.dtype)
        vector = ir.VectorType(element, LANES)
        pointer = builder.bitcast(_address(context, builder, signature, arguments), vector.as_pointer())
        values = builder.load(pointer, align=array.dtype.bitwidth // 8)
        one = builder.insert_element(ir.Constant(vector, ir.Undefined), arguments[2], ir.Constant(_INT32, 0))
        spread = ir.Constant(ir.VectorType(_INT32, LANES), [0] * LANES)
        limits = builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), spread)
        floats = isinstance(array.dtype, types.Float)
        signed = getattr(array.dtype, "signed", False)
        greater = builder.fcmp_ordered if floats else builder.icmp_signed if signed else builder.icmp_unsigned
        return builder.bitcast(greater(">", values, limits), _INT64)

    return types.uint64(array, types.intp, array.dtype), generate


@intrinsic
def raise_to(_typing: Any, array: Any, at: Any, other: Any, place: Any) -> Any:
    """Make `array[at : at + LANES]` the greater of itself and `other[place : place + LANES]`; signed, all within."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(context.get_value_type(array.dtype), LANES)
        pointers = [
            builder.bitcast(_address(context, builder, signature, arguments, which), vector.as_pointer())
            for which in (0, 2)
        ]
        one, two = (builder.load(pointer, align=array.dtype.bitwidth // 8) for pointer in pointers)
        greater = builder.select(builder.icmp_signed(">", one, two), one, two)
        builder.store(greater, pointers[0], align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, other, types.intp), generate


@intrinsic
def clear(_typing: Any, array: Any, at: Any) -> Any:
    """Set `array[at : at + LANES]` to zero; all of them must be within the array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(context.get_value_type(array.dtype), LANES)
        pointer = builder.bitcast(_address(context, builder, signature, arguments), vector.as_pointer())
        builder.store(ir.Constant(vector, None), pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def inner(_typing: Any, one: Any, at: Any, other: Any, place: Any, count: Any) -> Any:
    """The inner product of `one[at : at + count]` and `other[place : place + count]`, the same bits on any processor.

    Both are float32 and all of them within their arrays; `count` is a multiple of FLOATS. Sums are float32, FLOATS side
    by side, then of halves.
    """
    vector = ir.VectorType(ir.FloatType(), FLOATS)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointers = [_address(context, builder, signature, arguments, which) for which in (0, 2)]
        total = cgutils.alloca_once_value(builder, ir.Constant(vector, None))  # type: ignore[no-untyped-call]
        width = ir.Constant(_INT64, FLOATS)
        with cgutils.for_range(builder, builder.sdiv(arguments[4], width)) as loop:
            behind = builder.mul(loop.index, width)
            parts = [
                builder.load(builder.bitcast(builder.gep(pointer, [behind]), vector.as_pointer()), align=4)
                for pointer in pointers
            ]
            builder.store(builder.fadd(builder.load(total), builder.fmul(*parts)), total)
        value, size = builder.load(total), FLOATS
        while size > 1:
            size //= 2
            halves = [_part_of(builder, value, begin, size) for begin in (0, size)]
            value = builder.fadd(*halves)
        return builder.extract_element(value, ir.Constant(_INT32, 0))

    return types.float32(one, types.intp, other, types.intp, types.intp), generate


@intrinsic
def lowest_bit(_typing: Any, mask: Any) -> Any:
    """The place of the lowest bit that is set; there must be one."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


@intrinsic
def bits_of(_typing: Any, value: Any) -> Any:
    """The bits of a float32. Those of non-negative floats are in the order of the floats."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], _INT32)

    return types.uint32(types.float32), generate


@intrinsic
def float_of(_typing: Any, bits: Any) -> Any:
    """The float32 that has these bits."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), generate


@intrinsic
def count_bits(_typing: Any, mask: Any) -> Any:
    """How many bits of a mask are set."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.intp(types.uint64), generate


def _part_of(builder: Any, vector: Any, begin: int, size: int) -> Any:
    """So many elements of a vector, as a shorter one."""
    places = ir.Constant(ir.VectorType(_INT32, size), list(range(begin, begin + size)))
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), places)


def _address(context: Any, builder: Any, signature: Any, arguments: Any, which: int = 0) -> Any:
    """Of the element of an array that the argument behind it names."""
    array = context.make_array(signature.args[which])(context, builder, arguments[which])
    return builder.gep(array.data, [arguments[which + 1]])
