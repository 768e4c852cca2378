(function () {
  "use strict";
  var root = document.documentElement, said = document.getElementById("said");
  function all(selector, within) { return Array.prototype.slice.call((within || document).querySelectorAll(selector)); }

  // the theme: the system's until the button is used
  var button = document.querySelector(".theme"), asked = window.matchMedia("(prefers-color-scheme: dark)");
  function isDark() { return root.dataset.theme ? root.dataset.theme === "dark" : asked.matches; }
  function name() { button.textContent = isDark() ? "Light colours" : "Dark colours"; }
  button.hidden = false;
  name();
  if (asked.addEventListener) { asked.addEventListener("change", name); }
  button.addEventListener("click", function () { root.dataset.theme = isDark() ? "light" : "dark"; name(); });

  // a cursor for all charts of a group: moved by the pointer, or by the slider and its keys
  all("[data-cursor]").forEach(function (group) {
    var slider = group.querySelector("input[type=range]");
    if (!slider) { return; }
    var at = group.querySelector(".at");
    var charts = all("figure", group).map(function (figure) {
      return {
        figure: figure, svg: figure.querySelector("svg.plot"), line: figure.querySelector(".cursor"),
        tip: figure.querySelector(".tip"), values: all(".legend .v", figure), names: all(".legend .of", figure),
        data: JSON.parse(figure.querySelector("script[type='application/json']").textContent)
      };
    });
    function clamp(chart, index) { return Math.min(index, chart.data.x.length - 1); }
    function move(index) {
      slider.value = index;
      var spoken = [];
      charts.forEach(function (chart) {
        var i = clamp(chart, index);
        if (i < 0) { return; }
        chart.line.setAttribute("x1", chart.data.x[i]);
        chart.line.setAttribute("x2", chart.data.x[i]);
        chart.figure.classList.add("on");
        chart.values.forEach(function (place, s) {
          place.textContent = chart.data.values[s][i];
          if (charts.length === 1) { spoken.push(chart.names[s].textContent + " " + chart.data.values[s][i]); }
        });
      });
      var first = charts[0];
      at.textContent = first.data.label[clamp(first, index)];
      slider.setAttribute("aria-valuetext", first.data.name + " " + at.textContent + (spoken.length ? ": " + spoken.join(", ") : ""));
    }
    function show(chart, index, left) {
      var i = clamp(chart, index), tip = chart.tip;
      tip.textContent = "";
      var head = document.createElement("b");
      head.textContent = chart.data.name + " " + chart.data.label[i];
      tip.appendChild(head);
      chart.names.forEach(function (of, s) {
        var row = document.createElement("span"), value = document.createElement("b");
        row.textContent = of.textContent;
        value.textContent = chart.data.values[s][i];
        row.appendChild(value);
        tip.appendChild(row);
      });
      tip.hidden = false;
      var width = chart.svg.getBoundingClientRect().width, own = tip.offsetWidth;
      tip.style.left = Math.max(0, left + own + 14 > width ? left - own - 12 : left + 12) + "px";
    }
    charts.forEach(function (chart) {
      function follow(event) {
        var box = chart.svg.getBoundingClientRect();
        if (!box.width || !chart.data.x.length) { return; }
        var x = (event.clientX - box.left) / box.width * chart.svg.viewBox.baseVal.width;
        var best = 0;
        chart.data.x.forEach(function (place, i) {
          if (Math.abs(place - x) < Math.abs(chart.data.x[best] - x)) { best = i; }
        });
        move(best);
        show(chart, best, event.clientX - box.left);
      }
      chart.svg.addEventListener("pointermove", follow);
      chart.svg.addEventListener("pointerdown", follow);
      chart.svg.addEventListener("pointerleave", function () { chart.tip.hidden = true; });
    });
    document.addEventListener("keydown", function (event) {
      if (event.key === "Escape") { charts.forEach(function (chart) { chart.tip.hidden = true; }); }
    });
    slider.addEventListener("input", function () { move(Number(slider.value)); });
    group.querySelector(".cursor-at").hidden = false;
    at.textContent = charts[0].data.label[clamp(charts[0], Number(slider.value))];
    slider.setAttribute("aria-valuetext", charts[0].data.name + " " + at.textContent);
  });

  // tables that can be sorted by each column
  all("table.sortable").forEach(function (table) {
    var heads = all("thead th", table), body = table.tBodies[0];
    function key(row, column) {
      var cell = row.cells[column], given = cell.getAttribute("data-sort");
      return given === null ? cell.textContent.trim().toLowerCase() : Number(given);
    }
    heads.forEach(function (head, column) {
      var press = document.createElement("button");
      press.type = "button";
      press.textContent = head.textContent;
      head.textContent = "";
      head.appendChild(press);
      press.addEventListener("click", function () {
        var isNumber = all("td,th", body).some(function (cell) { return cell.cellIndex === column && cell.hasAttribute("data-sort"); });
        var before = head.getAttribute("aria-sort");
        var order = before ? (before === "ascending" ? "descending" : "ascending") : (isNumber ? "descending" : "ascending");
        heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", order);
        var sign = order === "ascending" ? 1 : -1, rows = Array.prototype.slice.call(body.rows);
        rows.map(function (row, i) { return { row: row, key: key(row, column), i: i }; }).sort(function (a, b) {
          var unknownA = typeof a.key !== (isNumber ? "number" : "string"), unknownB = typeof b.key !== (isNumber ? "number" : "string");
          if (unknownA || unknownB) { return unknownA - unknownB || a.i - b.i; }
          return a.key < b.key ? -sign : a.key > b.key ? sign : a.i - b.i;
        }).forEach(function (entry) { body.appendChild(entry.row); });
        said.textContent = "Sorted by " + press.textContent + ", " + order;
      });
    });
  });

  // lines to copy
  all("button.copy").forEach(function (press) {
    var code = press.parentNode.querySelector("code");
    press.hidden = false;
    press.addEventListener("click", function () {
      function done(words) {
        press.textContent = words;
        said.textContent = words;
        window.setTimeout(function () { press.textContent = "Copy"; }, 2000);
      }
      function select() {
        var range = document.createRange(), selection = window.getSelection();
        range.selectNodeContents(code);
        selection.removeAllRanges();
        selection.addRange(range);
        var copied = false;
        try { copied = document.execCommand("copy"); } catch (error) { copied = false; }
        done(copied ? "Copied" : "Selected");
      }
      if (navigator.clipboard && navigator.clipboard.writeText) {
        navigator.clipboard.writeText(code.textContent).then(function () { done("Copied"); }, select);
      } else { select(); }
    });
  });

  // what is folded and belongs on paper is printed
  window.addEventListener("beforeprint", function () { all("details[data-print]").forEach(function (part) { part.dataset.was = part.open; part.open = true; }); });
  window.addEventListener("afterprint", function () { all("details[data-print]").forEach(function (part) { part.open = part.dataset.was === "true"; }); });
})();
