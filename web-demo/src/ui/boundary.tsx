/** A mistake of the page's own is said, and does not leave it blank. */

import { Component, type ComponentChildren } from 'preact';

import { Failure } from './failure';

interface Props {
  readonly children: ComponentChildren;
}

export class Boundary extends Component<Props, { readonly error: unknown }> {
  override state = { error: undefined as unknown };

  static override getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    if (this.state.error === undefined) return this.props.children;
    return (
      <main class="page">
        <Failure error={this.state.error} retry={() => this.setState({ error: undefined })} />
      </main>
    );
  }
}
