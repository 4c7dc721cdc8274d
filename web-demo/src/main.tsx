import { render } from 'preact';

import { App } from './app';
import { followLink, start } from './connect/session';
import { onLink } from './permalink/navigation';
import { applyPreferences } from './preferences/preferences';
import { watchCache } from './requests/cached';
import './styles/tokens.css';
import './styles/base.css';
import './styles/controls.css';
import './styles/frame.css';
import './styles/rows.css';
import './styles/list.css';

applyPreferences();
render(<App />, document.getElementById('app')!);
onLink((link) => void followLink(link));
watchCache();
void start();
