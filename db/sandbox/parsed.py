"""What a statement may hold on PostgreSQL, told from its parsed tree: whatever is not listed here is refused.

The server's own parser (libpg_query) reads the statement, so that no way to write a name hides it. Parts of the
tree, functions, types and relations have a list each of what passes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

import pgparse

from db.sandbox.worker import Refused, first_word, nothing_of_that_name

_AGGREGATES = """
    any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp every json_agg
    json_object_agg jsonb_agg jsonb_object_agg max min mode percentile_cont percentile_disc regr_avgx regr_avgy
    regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg
    sum var_pop var_samp variance
    cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number"""
_NUMBERS = """
    abs acos acosd acosh asin asind asinh atan atan2 atan2d atand atanh cbrt ceil ceiling cos cosd cosh cot cotd
    degrees div exp factorial float4 float8 floor gcd int2 int4 int8 lcm ln log log10 min_scale mod numeric pi pow power
    radians random round scale sign sin sind sinh sqrt tan tand tanh trim_scale trunc width_bucket"""
_TEXTS = """
    ascii bit_length btrim char_length character_length chr concat concat_ws decode encode format initcap left length
    like_escape lower lpad ltrim md5 name normalize octet_length overlay position quote_ident quote_literal
    quote_nullable regexp_count regexp_instr regexp_like regexp_match regexp_matches regexp_replace
    regexp_split_to_array regexp_split_to_table regexp_substr repeat replace reverse right rpad rtrim similar_to_escape
    split_part starts_with string_to_array string_to_table strpos substr substring text to_char to_hex to_number
    translate upper"""
_TIMES = """
    age clock_timestamp date date_bin date_part date_trunc extract isfinite justify_days justify_hours justify_interval
    make_date make_interval make_time make_timestamp make_timestamptz now overlaps statement_timestamp timezone to_date
    to_timestamp transaction_timestamp"""
_COLLECTIONS = """
    array_append array_cat array_dims array_fill array_length array_lower array_ndims array_position array_positions
    array_prepend array_remove array_replace array_to_json array_to_string array_upper cardinality generate_series
    generate_subscripts json_array_elements json_array_elements_text json_array_length json_build_array
    json_build_object json_each json_each_text json_extract_path json_extract_path_text json_object json_object_keys
    json_strip_nulls json_typeof jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array
    jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_object
    jsonb_object_keys jsonb_path_exists jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_pretty
    jsonb_strip_nulls jsonb_typeof num_nonnulls num_nulls pg_typeof row_to_json to_json to_jsonb unnest"""
_SHAPES = "area center path width"  # columns of the store have these names, too
_SCALARS = """
    bit bool bpchar bytea date float4 float8 int2 int4 int8 interval json jsonb jsonpath numeric text time
    timestamp timestamptz timetz uuid varbit varchar"""
_TREE = """
    A_ArrayExpr A_Const A_Expr A_Indices A_Indirection A_Star BoolExpr BooleanTest CaseExpr CaseWhen
    CoalesceExpr CollateClause ColumnRef CommonTableExpr DefElem ExplainStmt FuncCall GroupingFunc GroupingSet
    Integer JoinExpr List MinMaxExpr NamedArgExpr NullTest RangeFunction RangeSubselect RangeVar ResTarget
    RowExpr SQLValueFunction SelectStmt SortBy String SubLink TypeCast WindowDef
    agg_distinct agg_filter agg_order agg_star agg_within_group alias aliascolnames aliasname all arg argnumber
    args arrayBounds boolop booltesttype boolval bsval collname colnames content ctematerialized ctename
    ctequery ctes defaction defname defresult distinctClause elements endOffset expr fields frameOptions
    fromClause func_variadic funcformat funcname functions fval groupClause groupDistinct havingClause
    indirection inh is_rowsfrom is_slice isNatural isnull items ival join_using_alias jointype kind larg lateral
    lexpr lidx limitCount limitOffset limitOption location name names node nulltesttype op operName options
    orderClause ordinality over partitionClause quals query rarg recursive refname relname relpersistence result
    rexpr row_format schemaname sortby_dir sortby_nulls sortClause startOffset subLinkType subquery sval
    targetList testexpr typemod typeName typmod typmods uidx useOp usingClause val valuesLists whereClause
    windowClause withClause"""
FUNCTIONS = frozenset(" ".join((_AGGREGATES, _NUMBERS, _TEXTS, _TIMES, _COLLECTIONS, _SHAPES)).split())
"""Those of the server itself that only reckon: none is volatile but those of chance and of the clock."""
TYPES = frozenset(_SCALARS.split())
_PARTS = frozenset(_TREE.split())
"""Nodes of the tree and their fields."""
_CHANGES = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "intoClause", "lockingClause"})
_CLOCK = re.compile(r"SVFOP_(CURRENT_DATE|(CURRENT_|LOCAL)TIME(STAMP)?(_N)?)")
_EXPLAINS = frozenset({"analyze", "buffers", "costs", "format", "summary", "timing", "verbose"})
_TOO_DEEP = "the statement is nested too deeply"
_NOT_HERE = "is not allowed here: the views and plain functions are"


def check(statement: str, relations: Collection[str]) -> frozenset[str]:
    """Refuse a statement that is not one SELECT of allowed parts.

    Parameters
    ----------
    statement : str
    relations : collection of str
        Tables and views that may be read.

    Returns
    -------
    frozenset of str
        Names that the server may take for a function's, to be looked up there: of calls, and behind a dot, for
        ``x.f`` may call ``f`` too.

    Raises
    ------
    Refused
        With one line.
    """
    called: set[str] = set()
    for name, part, ctes in _walk(_only_select(statement)):
        if name == "RangeVar":
            _check_relation(statement, part, relations, ctes)
        elif name == "FuncCall":
            called.add(_own(part["funcname"], FUNCTIONS, "the function"))
        elif name == "ColumnRef" and len(part["fields"]) > 1:
            called.update(_texts(part["fields"][-1:]))
        elif name == "A_Indirection" and _texts(part["indirection"]):
            raise Refused(
                f"(...).{_texts(part['indirection'])[0]} is not allowed here; write the column without parentheses"
            )
        elif name == "typeName":
            _own(part["names"], TYPES, "the type")
        elif name in ("name", "operName", "useOp") and isinstance(part, list):
            _own(part, None, "the operator")
        elif name == "SQLValueFunction" and not _CLOCK.fullmatch(part["op"]):
            raise Refused(f"{part['op'].removeprefix('SVFOP_').lower()} {_NOT_HERE}")
        elif name == "DefElem" and part["defname"] not in _EXPLAINS:
            raise Refused(f"EXPLAIN ({part['defname'].upper()}) is not allowed here")
    return frozenset(called)


def _only_select(statement: str) -> dict[str, Any]:
    """The tree of the one statement."""
    try:
        trees = [one["stmt"] for one in pgparse.parse(statement)]
    except pgparse.PGQueryError as error:
        raise Refused(syntax_error(statement, error.message, error.position)) from None
    except RecursionError:
        raise Refused(_TOO_DEEP) from None
    if len(trees) > 1:
        raise Refused("one statement at a time: delete what follows the first ;")
    if not trees or not set(trees[0]) <= {"SelectStmt", "ExplainStmt"}:
        word = first_word(statement)
        raise Refused(f"only SELECT reads here{f'; {word} is not allowed' if word else ''}")
    return dict(trees[0])


def _walk(tree: dict[str, Any]) -> Iterator[tuple[str, Any, frozenset[str]]]:
    """Every part with its name and the names that WITH gives a meaning there; refuses a part that is not listed."""
    waiting: list[tuple[str, Any, frozenset[str]]] = [("", tree, frozenset())]
    while waiting:
        name, part, ctes = waiting.pop()
        yield name, part, ctes
        if isinstance(part, list):
            waiting += [("", item, ctes) for item in part]
        if not isinstance(part, dict):
            continue
        for key in part.keys() - _PARTS:
            if key in _CHANGES:
                raise Refused("only reading is allowed here, and this would change the store")
            raise Refused(f"{key} is not allowed here")
        if "withClause" in part:
            clause = part["withClause"]
            tables = [table["CommonTableExpr"] for table in clause["ctes"]]
            every = ctes | {table["ctename"] for table in tables}
            for table in tables:
                waiting.append(("CommonTableExpr", table, every if clause.get("recursive") else ctes))
                ctes |= {table["ctename"]}
        waiting += [(key, value, ctes) for key, value in part.items() if key != "withClause"]


def _check_relation(statement: str, table: dict[str, Any], relations: Collection[str], ctes: Collection[str]) -> None:
    name, schema = table["relname"], table.get("schemaname")
    if (name in relations and schema in (None, "public")) or (name in ctes and schema is None):
        return
    if schema is not None or name.startswith("pg_"):
        raise Refused(f"{f'{schema}.' if schema else ''}{name} {_NOT_HERE}")
    raise Refused(nothing_of_that_name([(relation, "") for relation in relations], statement, "table", name))


def _own(names: list[dict[str, Any]], allowed: Collection[str] | None, kind: str) -> str:
    """The name of something of the server's own, refused where it is not ``allowed`` (None: all are)."""
    *schema, name = _texts(names)
    if schema not in ([], ["pg_catalog"]) or (allowed is not None and name not in allowed):
        raise Refused(f"{kind} {'.'.join((*schema, name))} {_NOT_HERE}")
    return name


def _texts(names: list[dict[str, Any]]) -> list[str]:
    return [name["String"].get("sval", "") for name in names if "String" in name]


def syntax_error(statement: str, problem: str, position: int) -> str:
    """The parser's line, with where it stopped (``position`` in characters, from 1; 0 unknown)."""
    place = place_of(statement, position)
    if problem.startswith("memory exhausted"):
        return _TOO_DEEP
    if problem.startswith("unterminated"):
        return f"{place}a quote is not closed"
    if problem == "syntax error at end of input":
        return "the statement ends too early: something is missing at its end, or a quote is not closed"
    near = problem.removeprefix('syntax error at or near "').removesuffix('"')
    return place + (f"syntax error at “{near}”" if near != problem else " ".join(problem.split()))


def place_of(statement: str, position: int) -> str:
    """Line and column of a position (from 1), "" where it lies outside the statement."""
    if not 0 < position <= len(statement):
        return ""
    before = statement[: position - 1]
    return f"line {before.count(chr(10)) + 1}, column {position - 1 - before.rfind(chr(10))}: "
