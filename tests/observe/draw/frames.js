// What Prometheus brought, as Grafana's data source for it makes data frames of it.
const { FieldType, toDataFrame } = require('@grafana/data');

const number = (text) => (text === 'NaN' ? null : Number(text.replace('Inf', 'Infinity')));
const points = (series) => series.values ?? [series.value];
const seriesOf = (result) =>
  result?.resultType === 'scalar' ? [{ metric: {}, value: result.result }] : result?.result ?? [];

/** `{{label}}` and its value. */
function legend(format, labels) {
  if (!format || format === '__auto') {
    return undefined;
  }
  return format.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, name) => labels[name] ?? '');
}

function lines(target) {
  return seriesOf(target.result).map((series) => {
    const { __name__: name, ...labels } = series.metric;
    const found = points(series);
    return toDataFrame({
      refId: target.letter,
      fields: [
        { name: 'Time', type: FieldType.time, values: found.map(([at]) => at * 1000), config: { interval: board.span.step * 1000 } },
        {
          name: name ?? 'Value',
          type: FieldType.number,
          labels,
          values: found.map(([, text]) => number(text)),
          config: { displayNameFromDS: legend(target.target.legendFormat, series.metric) },
        },
      ],
    });
  });
}

function table(target, tables) {
  const rows = seriesOf(target.result).flatMap((series) => points(series).map((point) => [series.metric, point]));
  const labels = [...new Set(rows.flatMap(([metric]) => Object.keys(metric)))].sort();
  const value = tables > 1 ? `Value #${target.letter}` : 'Value';
  return toDataFrame({
    refId: target.letter,
    fields: [
      { name: 'Time', type: FieldType.time, values: rows.map(([, [at]]) => at * 1000) },
      ...labels.map((name) => ({ name, type: FieldType.string, values: rows.map(([metric]) => metric[name] ?? '') })),
      { name: value, type: FieldType.number, values: rows.map(([, [, text]]) => number(text)) },
    ],
  });
}

/** All frames of a panel. */
export function frames(targets) {
  const tables = targets.filter((target) => target.target.format === 'table').length;
  return targets.flatMap((target) => (target.target.format === 'table' ? [table(target, tables)] : lines(target)));
}

/** Whether any of it is a number. */
export const isEmpty = (targets) =>
  !targets.some((target) => seriesOf(target.result).some((series) => points(series).some(([, text]) => text !== 'NaN')));

/** The instants that a dashboard marks: where a series begins to have points. */
export function marks(all) {
  return all.flatMap(({ color, result }) =>
    seriesOf(result).flatMap((series) => {
      const times = points(series).filter(([, text]) => text !== 'NaN').map(([at]) => at);
      const begins = times.filter((at, place) => !(at - times[place - 1] <= board.span.step * 1.5));
      return begins.map((at) => ({ at: at * 1000, color }));
    })
  );
}
