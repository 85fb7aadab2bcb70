"""The official client's calls and what must come back. Usage: client.py '{"http":...,"ws":...}' (the sim's ready line)."""

import asyncio
import json
import logging
import sys
import time

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_common.errors import BadRequestError
from binance_sdk_spot.rest_api.models import (
    NewOrderSideEnum,
    NewOrderTimeInForceEnum,
    NewOrderTypeEnum,
    OrderListOcoAboveTypeEnum,
    OrderListOcoBelowTimeInForceEnum,
    OrderListOcoBelowTypeEnum,
    OrderListOcoSideEnum,
)
from binance_sdk_spot.spot import Spot
from binance_sdk_spot.websocket_api.models import (
    OrderPlaceSideEnum,
    OrderPlaceTimeInForceEnum,
    OrderPlaceTypeEnum,
)

# Keys of the venue's own documentation, and of the seed 00..1f: public, worthless.
HMAC_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
HMAC_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
ED25519_KEY = "TESTKEY"
ED25519_PEM = (
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n"
    "-----END PRIVATE KEY-----\n"
)
SYMBOL = "SOLUSDT"
PATIENCE_S = 10


class Tally:
    """Counts what held and what did not."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, name, holds, seen=None):
        if holds:
            self.passed += 1
            print(f"ok   {name}")
        else:
            self.failed += 1
            print(f"FAIL {name}: {seen!r}")


def rest_market(rest, tally):
    server_ms = int(rest.time().data().server_time)
    tally.check("REST time", abs(server_ms - time.time() * 1000) < 5000, server_ms)
    info = rest.exchange_info(symbol=SYMBOL).data()
    kinds = [item.actual_instance.filter_type for item in info.symbols[0].filters]
    tally.check("REST exchangeInfo", info.symbols[0].symbol == SYMBOL and "LOT_SIZE" in kinds, kinds)
    depth = rest.depth(SYMBOL, limit=20).data()
    best_bid, best_ask = float(depth.bids[0][0]), float(depth.asks[0][0])
    tally.check("REST depth", len(depth.bids) == 20 and best_bid < best_ask, (best_bid, best_ask))


def rest_limit_order(rest, tally):
    placed = rest.new_order(
        symbol=SYMBOL,
        side=NewOrderSideEnum.BUY,
        type=NewOrderTypeEnum.LIMIT,
        time_in_force=NewOrderTimeInForceEnum.GTC,
        quantity=1.5,
        price=150.25,
        new_client_order_id="official-1",
    ).data()
    tally.check("REST signed LIMIT placed", placed.status == "NEW" and placed.orig_qty == "1.50000000", placed)
    found = rest.get_order(SYMBOL, orig_client_order_id="official-1").data()
    tally.check("REST order queried", found.order_id == placed.order_id and found.is_working, found)
    opened = rest.get_open_orders(SYMBOL).data()
    tally.check("REST open orders", len(opened) == 1, opened)
    canceled = rest.delete_order(SYMBOL, order_id=placed.order_id).data()
    tally.check("REST order cancelled", canceled.status == "CANCELED", canceled)
    try:
        rest.delete_order(SYMBOL, order_id=placed.order_id)
        tally.check("REST cancelled twice is refused", False, "accepted")
    except BadRequestError as error:
        tally.check("REST cancelled twice is refused", "Unknown order sent." in str(error), error)


def rest_oco(rest, tally):
    bought = rest.new_order(
        symbol=SYMBOL, side=NewOrderSideEnum.BUY, type=NewOrderTypeEnum.MARKET, quantity=2.0
    ).data()
    fee = sum(float(fill.commission) for fill in bought.fills)
    tally.check("REST market order pays its fee in SOL", abs(fee - 0.002) < 1e-9, bought.fills)
    placed = rest.order_list_oco(
        symbol=SYMBOL,
        side=OrderListOcoSideEnum.SELL,
        quantity=1.5,
        above_type=OrderListOcoAboveTypeEnum.LIMIT_MAKER,
        above_price=170.0,
        below_type=OrderListOcoBelowTypeEnum.STOP_LOSS_LIMIT,
        below_stop_price=150.0,
        below_price=149.0,
        below_time_in_force=OrderListOcoBelowTimeInForceEnum.GTC,
        list_client_order_id="official-oco",
    ).data()
    tally.check("REST OCO placed", placed.list_order_status == "EXECUTING" and len(placed.order_reports) == 2, placed)
    account = rest.get_account(omit_zero_balances=True).data()
    sol = next(balance for balance in account.balances if balance.asset == "SOL")
    tally.check("REST OCO locks the coins once", sol.locked == "1.50000000", sol)
    over = rest.delete_order_list(SYMBOL, order_list_id=placed.order_list_id).data()
    tally.check("REST OCO cancelled", over.list_order_status == "ALL_DONE", over)


async def until(holds):
    """Waits until `holds()`; false after PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


async def ws_api_orders(client, tally):
    api = await client.websocket_api.create_connection()
    events = []
    logon = (await api.session_logon()).data()
    tally.check("WS API Ed25519 logon", logon.result.api_key == ED25519_KEY, logon)
    subscribed = await api.user_data_stream_subscribe()
    subscribed.stream.on("message", lambda event: events.append(event.actual_instance))
    placed = (
        await api.order_place(
            symbol=SYMBOL,
            side=OrderPlaceSideEnum.BUY,
            type=OrderPlaceTypeEnum.LIMIT,
            time_in_force=OrderPlaceTimeInForceEnum.GTC,
            quantity=1.0,
            price=150.5,
            new_client_order_id="official-ws",
        )
    ).data()
    tally.check("WS API order placed", placed.result.status == "NEW", placed)
    status = (await api.order_status(symbol=SYMBOL, orig_client_order_id="official-ws")).data()
    tally.check("WS API order queried", status.result.order_id == placed.result.order_id, status)
    canceled = (await api.order_cancel(symbol=SYMBOL, order_id=placed.result.order_id)).data()
    tally.check("WS API order cancelled", canceled.result.status == "CANCELED", canceled)

    def told(status):
        mine = (event for event in events if getattr(event, "i", None) == placed.result.order_id)
        return any(getattr(event, "X", None) == status for event in mine)

    tally.check("user event NEW", await until(lambda: told("NEW")), events)
    tally.check("user event CANCELED", await until(lambda: told("CANCELED")), events)
    balances = lambda: any(getattr(event, "B", None) for event in events)
    tally.check("user event outboundAccountPosition", await until(balances), events)
    await api.close_connection(close_session=True)


async def streams(client, tally):
    connection = await client.websocket_streams.create_connection()
    tops = []
    stream = await connection.book_ticker(symbol=SYMBOL.lower())
    stream.on("message", tops.append)
    diffs = []
    depth = await connection.diff_book_depth(symbol=SYMBOL.lower())
    depth.on("message", diffs.append)
    # Something must move the book: an order of ours at the top.
    rest = client.rest_api
    price = float(rest.ticker_book_ticker(symbol=SYMBOL).data().actual_instance.bid_price)
    mine = rest.new_order(
        symbol=SYMBOL,
        side=NewOrderSideEnum.BUY,
        type=NewOrderTypeEnum.LIMIT,
        time_in_force=NewOrderTimeInForceEnum.GTC,
        quantity=1.0,
        price=price,
    ).data()
    tally.check("stream bookTicker", await until(lambda: any(top.s == SYMBOL for top in tops)), tops)
    tally.check("stream depth", await until(lambda: any(diff.s == SYMBOL for diff in diffs)), diffs)
    rest.delete_order(SYMBOL, order_id=mine.order_id)
    await connection.close_connection(close_session=True)


async def main(ready):
    tally = Tally()
    client = Spot(
        config_rest_api=ConfigurationRestAPI(
            api_key=HMAC_KEY, api_secret=HMAC_SECRET, base_path=ready["http"], timeout=5000
        ),
        config_ws_api=ConfigurationWebSocketAPI(
            api_key=ED25519_KEY, private_key=ED25519_PEM, stream_url=ready["ws"] + "/ws-api/v3"
        ),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=ready["ws"]),
    )
    for part in (rest_market, rest_limit_order, rest_oco):
        part(client.rest_api, tally)
    for part in (ws_api_orders, streams):
        await part(client, tally)
    print(f"official client: {tally.passed} passed, {tally.failed} failed")
    return 0 if tally.failed == 0 and tally.passed > 0 else 1


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    sys.exit(asyncio.run(main(json.loads(sys.argv[1]))))
