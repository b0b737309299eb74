// A dashboard with the data that it asked for, drawn by Grafana's own panels: what `window.board` holds.
import React from 'react';
import { createRoot } from 'react-dom/client';
import { frames as framesOf, isEmpty, marks as marksOf } from './frames';

// Not imported: Grafana's modules for `import` take the default of older packages for all that these export.
const UI = require('@grafana/ui');
const {
  FieldColorModeId, FieldConfigOptionsRegistry, ThresholdsMode, VizOrientation, applyFieldOverrides, createTheme, dateTime,
  getDisplayValueAlignmentFactors, getFieldDisplayValues, getFieldDisplayName, renderMarkdown, standardTransformers,
  standardTransformersRegistry, transformDataFrame, FieldType,
} = require('@grafana/data');

const theme = createTheme({ colors: { mode: 'dark' } });
const timeZone = 'utc';
const { span } = board;
const timeRange = { from: dateTime(span.start * 1000), to: dateTime(span.end * 1000), raw: { from: 'now-1h', to: 'now' } };
const colour = (name) => theme.visualization.getColorByName(name);
const marks = marksOf(board.marks);
const said = (text) => text;

// What the time series panel itself would add.
const custom = {
  drawStyle: 'line', lineInterpolation: 'linear', lineWidth: 1, fillOpacity: 0, gradientMode: 'none', showPoints: 'auto', pointSize: 5,
  spanNulls: false, axisPlacement: 'auto', axisLabel: '', axisGridShow: true, barAlignment: 0, barWidthFactor: 0.6,
  scaleDistribution: { type: 'linear' }, stacking: { mode: 'none', group: 'A' }, thresholdsStyle: { mode: 'off' },
  hideFrom: { legend: false, tooltip: false, viz: false },
};
const known = ['unit', 'min', 'max', 'decimals', 'displayName', 'noValue', 'color', 'thresholds', 'mappings', 'links', 'filterable', 'description'];

// Some stand there under two names.
standardTransformersRegistry.setInit(() =>
  [...new Map(Object.values(standardTransformers).map((found) => [found.id, { ...found, transformation: async () => found }])).values()]);

/** Grafana knows the options of each kind of panel; here all that are written are good. */
function registry(fieldConfig) {
  const overridden = fieldConfig.overrides.flatMap((rule) => rule.properties.map((property) => property.id));
  const own = [...Object.keys(fieldConfig.defaults.custom), ...overridden.filter((id) => id.startsWith('custom.')).map((id) => id.slice(7))];
  const option = (id, path, isCustom) => ({ id, path, isCustom, name: id, process: said, shouldApply: () => true, settings: {} });
  const all = [...known.map((id) => option(id, id, false)), ...[...new Set(own)].map((id) => option(`custom.${id}`, id, true))];
  return new FieldConfigOptionsRegistry(() => all);
}

function configured(panel) {
  const { defaults = {}, overrides = [] } = structuredClone(panel.fieldConfig ?? {});
  const isGraph = panel.type === 'timeseries';
  // JSON has no -Infinity.
  const steps = (defaults.thresholds?.steps ?? [{ color: 'green', value: null }]).map((step) => ({ ...step, value: step.value ?? -Infinity }));
  return {
    overrides,
    defaults: {
      ...defaults,
      color: defaults.color ?? { mode: isGraph ? FieldColorModeId.PaletteClassic : FieldColorModeId.Thresholds },
      thresholds: { mode: ThresholdsMode.Absolute, ...defaults.thresholds, steps },
      custom: { ...(isGraph ? custom : {}), ...defaults.custom },
    },
  };
}

/** The frames of a panel behind its transformations, with colours, units and names. */
async function prepared({ panel, targets }) {
  const fieldConfig = configured(panel);
  const transformations = (panel.transformations ?? []).filter((step) => !step.disabled);
  const data = await new Promise((done, failed) =>
    transformDataFrame(transformations, framesOf(targets), { interpolate: said }).subscribe({ next: done, error: failed }));
  const fieldConfigRegistry = registry(fieldConfig);
  const shown = applyFieldOverrides({ data, fieldConfig, fieldConfigRegistry, replaceVariables: said, theme, timeZone });
  // Colours by name want the names found out first.
  shown.forEach((frame) => frame.fields.forEach((field) => getFieldDisplayName(field, frame, shown)));
  return { data: shown, fieldConfig };
}

/** Vertical lines where something is marked. */
const withMarks = (builder) => {
  builder.addHook('draw', (u) => {
    const { ctx } = u;
    ctx.save();
    for (const { at, color } of marks) {
      const x = u.valToPos(at, 'x', true);
      ctx.strokeStyle = colour(color);
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash([5, 4]);
      ctx.beginPath();
      ctx.moveTo(x, u.bbox.top);
      ctx.lineTo(x, u.bbox.top + u.bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  });
  return null;
};

/** Colours by name go by the names of fields here: those that are shown, as in Grafana. */
const named = (frame) => ({ ...frame, fields: frame.fields.map((field) => ({ ...field, name: field.state.displayName ?? field.name })) });

const Graph = ({ data, options, width, height }) => (
  <UI.TimeSeries frames={data.map(named)} structureRev={1} timeRange={timeRange} timeZone={timeZone} width={width} height={height}
    legend={{ showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [], ...options.legend }} options={options}>
    {withMarks}
  </UI.TimeSeries>
);

/** One value for each series, or each row. */
function values({ data, fieldConfig, options }, sparkline) {
  const reduceOptions = { calcs: ['lastNotNull'], ...options.reduceOptions };
  return getFieldDisplayValues({ data, fieldConfig, reduceOptions, replaceVariables: said, theme, timeZone, sparkline });
}

function Stat(props) {
  const { options, width, height } = props;
  const all = values(props, options.graphMode !== 'none');
  return <UI.VizRepeater source={all} getValues={() => all} renderCounter={1} width={width} height={height} autoGrid={true}
    orientation={options.orientation ?? VizOrientation.Auto} getAlignmentFactors={getDisplayValueAlignmentFactors}
    renderValue={({ value, alignmentFactors, width, height, count }) => (
      <UI.BigValue theme={theme} width={width} height={height} value={value.display} sparkline={value.sparkline} count={count}
        colorMode={options.colorMode ?? 'value'} graphMode={options.graphMode ?? 'area'} justifyMode={options.justifyMode ?? 'auto'}
        textMode={options.textMode ?? 'auto'} text={options.text} alignmentFactors={alignmentFactors} disableWideLayout={!(options.wideLayout ?? true)} />
    )} />;
}

function Bars(props) {
  const { options, width, height } = props;
  const all = values(props, false);
  return <UI.VizRepeater source={all} getValues={() => all} renderCounter={1} width={width} height={height} itemSpacing={10} minVizHeight={16}
    minVizWidth={8} orientation={options.orientation ?? VizOrientation.Horizontal} getAlignmentFactors={getDisplayValueAlignmentFactors}
    renderValue={({ value, alignmentFactors, orientation, width, height }) => (
      <UI.BarGauge theme={theme} width={width} height={height} orientation={orientation ?? VizOrientation.Horizontal} field={value.field}
        value={value.display} display={value.view?.getFieldDisplayProcessor(value.colIndex)} displayMode={options.displayMode ?? 'gradient'}
        showUnfilled={options.showUnfilled ?? true} text={options.text} alignmentFactors={alignmentFactors} />
    )} />;
}

function TableOf({ data, options, width, height }) {
  return <UI.Table data={data[0]} width={width} height={height} columnMinWidth={60} cellHeight={options.cellHeight ?? 'sm'}
    initialSortBy={options.sortBy} footerOptions={options.footer} timeRange={timeRange} />;
}

const Words = ({ options }) =>
  <div className="markdown-html" style={{ padding: 8 }} dangerouslySetInnerHTML={{ __html: renderMarkdown(options.content ?? '') }} />;

/** In the place of Grafana's state timeline, which is on no registry: lanes of coloured spans. */
function Lanes({ data, options, width, height }) {
  const lanes = data.flatMap((frame) => {
    const times = frame.fields.find((field) => field.type === FieldType.time).values;
    return frame.fields.filter((field) => field.type !== FieldType.time).map((field) => ({ field, times, name: getFieldDisplayName(field, frame, data) }));
  });
  const [left, room] = [160, Math.max(width - 170, 50)];
  const high = Math.min((height - 26) / Math.max(lanes.length, 1), 48);
  const at = (time) => left + (room * (time / 1000 - span.start)) / (span.end - span.start);
  const spans = ({ field, times }) => {
    const found = [];
    times.forEach((time, place) => {
      const [shown, before] = [field.display(field.values[place]), found.at(-1)];
      if (before?.text === shown.text) {
        before.end = time;
      } else {
        if (before) { before.end = time; }
        found.push({ text: shown.text, color: shown.color, start: time, end: time + span.step * 1000 });
      }
    });
    return found;
  };
  const all = lanes.map((lane) => ({ ...lane, spans: spans(lane) }));
  const shown = [...new Map(all.flatMap((lane) => lane.spans).map((part) => [part.text, part.color]))];
  return <svg width={width} height={height} fontSize={12} fill={theme.colors.text.primary}>
    {all.map(({ name, spans }, lane) => <g key={lane}>
      <text x={left - 8} y={lane * high + high / 2 + 4} textAnchor="end">{name}</text>
      {spans.map((part, place) => <g key={place}>
        <rect x={at(part.start)} width={Math.max(at(part.end) - at(part.start), 1)} y={lane * high + 3} height={high - 6} fill={part.color} fillOpacity={0.7} />
        {at(part.end) - at(part.start) > 60 && <text x={at(part.start) + 5} y={lane * high + high / 2 + 4}>{part.text}</text>}
      </g>)}
    </g>)}
    {options.legend?.showLegend !== false && shown.map(([text, color], place) => <g key={text} transform={`translate(${left + place * 130}, ${height - 10})`}>
      <rect width={12} height={4} y={-4} fill={color} /><text x={17}>{text}</text>
    </g>)}
  </svg>;
}

/** In the place of Grafana's heatmap, which is on no registry either. Buckets of Prometheus count all below them, too. */
function Heat({ data, options, width, height }) {
  const rows = data.map((frame) => ({ frame, field: frame.fields[1], le: Number(String(frame.fields[1].labels?.le ?? getFieldDisplayName(frame.fields[1], frame, data)).replace('+Inf', 'Infinity')) }));
  rows.sort((a, b) => a.le - b.le);
  const cumulative = options.calculate !== true;
  const cells = rows.flatMap(({ frame, field }, row) => field.values.map((value, place) => {
    const time = frame.fields[0].values[place];
    const below = cumulative && row > 0 ? rows[row - 1].field.values[rows[row - 1].frame.fields[0].values.indexOf(time)] ?? 0 : 0;
    return { row, time, count: Math.max((value ?? 0) - below, 0) };
  }));
  const most = Math.max(...cells.map(({ count }) => count), 1e-9);
  const [left, room, high] = [64, width - 70, (height - 24) / rows.length];
  const wide = Math.ceil((room * span.step) / (span.end - span.start)) + 0.5;
  const at = (time) => left + (room * (time / 1000 - span.start)) / (span.end - span.start);
  const every = Math.ceil(14 / high);
  return <svg width={width} height={height} fontSize={11} fill={theme.colors.text.primary}>
    {rows.map(({ field, le }, row) => row % every === 0 && <text key={row} x={left - 6} y={height - 24 - row * high - high / 2 + 4} textAnchor="end">
      {Number.isFinite(le) ? [field.display(le).text, field.display(le).suffix].join('') : '+Inf'}</text>)}
    {cells.filter(({ count }) => count > 0).map(({ row, time, count }, place) =>
      <rect key={place} x={at(time)} width={wide} y={height - 24 - (row + 1) * high} height={high - 0.5} fill="#f2a43c" fillOpacity={0.12 + 0.88 * Math.sqrt(count / most)} />)}
  </svg>;
}

const kinds = { timeseries: Graph, stat: Stat, gauge: Bars, bargauge: Bars, table: TableOf, 'state-timeline': Lanes, 'status-history': Lanes, heatmap: Heat };

/** What became of each panel, by its place. */
const states = board.panels.map(({ title }) => ({ title, state: 'ok' }));

class Guard extends React.Component {
  state = {};
  static getDerivedStateFromError = (error) => ({ error });
  componentDidCatch(error) { states[this.props.place].state = String(error); }
  render() { return this.state.error ? <pre>{String(this.state.error)}</pre> : this.props.children; }
}

function Content({ shown, place, width, height }) {
  const { panel, kind, targets } = shown;
  const [ready, setReady] = React.useState();
  const Kind = kinds[kind];
  const empty = Kind && isEmpty(targets);
  React.useEffect(() => {
    if (Kind && !empty) {
      prepared(shown).then(setReady, (error) => { states[place].state = String(error); });
    }
  }, []);
  if (kind === 'text') { return <Words options={shown.panel.options ?? {}} />; }
  if (!Kind) { states[place].state = `there is no panel ${kind} here`; return kind; }
  if (empty) {
    states[place].state = 'empty';
    const text = panel.fieldConfig?.defaults?.noValue ?? 'No data';
    return <div style={{ width, height, display: 'grid', placeItems: 'center', color: theme.colors.text.secondary }}>{text}</div>;
  }
  if (ready && !ready.data.some((frame) => frame.length > 0)) {
    states[place].state = 'its transformations leave nothing';
  }
  return ready ? <Kind {...ready} options={panel.options ?? {}} width={width} height={height} /> : null;
}

const [GAP, LINE, EDGE] = [8, 30, 16];
const COLUMN = (window.innerWidth - 2 * EDGE - 23 * GAP) / 24;

function Placed({ shown, place }) {
  const [x, y, w, h] = shown.place;
  const [width, height] = [w * (COLUMN + GAP) - GAP, h * (LINE + GAP) - GAP];
  const at = { position: 'absolute', left: x * (COLUMN + GAP), top: y * (LINE + GAP), width, height };
  if (shown.kind === 'row') {
    return <div style={{ ...at, fontSize: 18, fontWeight: 500, paddingTop: 4 }}>▾ {shown.title}</div>;
  }
  return <div style={at}>
    <UI.PanelChrome title={shown.title} description={shown.panel.description} width={width} height={height}
      displayMode={shown.panel.transparent ? 'transparent' : 'default'}>
      {(inside, high) => <Guard place={place}><Content shown={shown} place={place} width={inside} height={high} /></Guard>}
    </UI.PanelChrome>
  </div>;
}

function Page() {
  return <UI.ThemeContext.Provider value={theme}>
    <UI.GlobalStyles /><UI.PortalContainer />
    <div style={{ margin: EDGE, position: 'relative' }}>
      <div style={{ height: 40, fontSize: 20 }}>{board.title}</div>
      <div style={{ position: 'relative' }}>{board.panels.map((shown, place) => <Placed key={place} shown={shown} place={place} />)}</div>
    </div>
  </UI.ThemeContext.Provider>;
}

document.body.style.background = theme.colors.background.canvas;
window.addEventListener('error', (event) => states.push({ title: 'the page', state: String(event.message) }));
window.addEventListener('unhandledrejection', (event) => states.push({ title: 'the page', state: String(event.reason) }));
createRoot(document.getElementById('root')).render(<Page />);
// A panel that throws does it at once or behind its transformations.
setTimeout(() => { document.getElementById('told').textContent = JSON.stringify(states); }, 5_000);
