/** What to set at a bucket so that this page may read it. */

import { CopyButton } from '../ui/copy';
import { corsRule } from './connection';

export function CorsHelp() {
  const rule = corsRule(location.origin);
  return (
    <div class="cors" data-testid="cors-help">
      <p>
        A browser asks the bucket whether a page of <code>{location.origin}</code> may read it. Set this as the bucket's
        CORS rule: in the AWS console under <em>Permissions</em>, <em>Cross-origin resource sharing</em>; elsewhere with{' '}
        <code>aws s3api put-bucket-cors</code>, where it stands in <code>{'{"CORSRules": …}'}</code>.
      </p>
      <pre class="code" data-testid="cors-rule" tabIndex={0}>
        {rule}
      </pre>
      <CopyButton label="Copy the rule" text={() => rule} testid="copy-cors-rule" />
    </div>
  );
}
