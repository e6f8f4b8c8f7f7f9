"""Charts in pages: where points land, and marks at round numbers."""

import re
from xml.etree import ElementTree

import pytest

from nas_reid.drawing.svg_chart import Point, legend, line_chart, scatter


def test_curves_run_from_edge_to_edge():
    chart = line_chart({"a": [(1, 0.0), (3, 0.5)], "b": [(2, 0.25)]}, colours={"a": "red", "b": "blue"}, xlabel="epoch",
                       unit="share")
    ElementTree.fromstring(chart)
    (line,) = re.findall(r'points="([\d.,]+) ([\d.,]+)"', chart)
    (x0, y0), (x1, y1) = (tuple(map(float, point.split(","))) for point in line)
    ((x, y),) = re.findall(r'fill="blue"><title>b: 25.00%</title><polyline points="([\d.]+),([\d.]+)"', chart)
    assert x0 < x1 and y0 > y1  # upwards is smaller
    assert float(x) == pytest.approx((x0 + x1) / 2, abs=0.1) and float(y) == pytest.approx((y0 + y1) / 2, abs=0.1)
    assert re.findall(r">([\d.]+ %)<", chart) == ["0 %", "20 %", "40 %"]
    assert "<title>a: 50.00%</title>" in chart


def test_one_point_alone_and_equal_ones_are_drawn():
    for curve in ([(5, 2.0)], [(5, 0.0)], [(1, 3.0), (2, 3.0)]):
        ElementTree.fromstring(line_chart({"a": curve}, colours={"a": "red"}, xlabel="epoch", unit="loss"))


def test_epochs_are_counted_in_whole_numbers():
    chart = line_chart({"a": [(1, 2.0)]}, colours={"a": "red"}, xlabel="epoch", unit="loss")
    assert re.findall(r'text-anchor="middle">([\d.]+)<', chart) == ["1"]


def test_skips_are_whole_and_no_share_is_above_all():
    skips = line_chart({"a": [(1, 5), (2, 4)]}, colours={"a": "red"}, xlabel="epoch", unit="number")
    assert re.findall(r'text-anchor="end">([^<]+)<', skips) == ["4", "5"]
    share = line_chart({"a": [(1, 1.0), (2, 1.0)]}, colours={"a": "red"}, xlabel="epoch", unit="share")
    assert re.findall(r">([\d.]+) %<", share)[-1] == "100"


def test_the_front_is_joined_and_ringed():
    points = [Point(1e6, 0.5, "#1", "one & more", "red"), Point(2e6, 0.4, "#2", "two", "red"),
              Point(3e6, 0.7, "#3", "three", "red")]
    chart = scatter(points, [0, 2], xlabel="parameters", ylabel="mAP")
    ElementTree.fromstring(chart)
    assert len(re.findall(r'stroke-width="2"', chart)) == 2 and "one &amp; more" in chart
    (line,) = re.findall(r'points="([^"]+)"', chart)
    dots = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', chart)
    assert line.split() == [",".join(dots[0]), ",".join(dots[2])] and "1 M<" in chart


def test_a_legend_escapes_names():
    assert legend({"<a>": "red"}) == '<p class="legend"><span><i style="background:red"></i>&lt;a&gt;</span></p>'
